// The pictures of one drawing: fetched once each, kept for showing, saving and measuring.

import { radialPower } from "./spectrum.js";

export class Pictures {
  #api;
  #known = new Map();

  constructor(api) {
    this.#api = api;
  }

  /** Fetches and decodes it. Raises as `Api.picture`, or if the bytes are no picture. */
  async load(picture) {
    if (this.#known.has(picture.digest)) return;
    const blob = await this.#api.picture(picture.address);
    const bitmap = await createImageBitmap(blob);
    this.#known.set(picture.digest, { blob, bitmap, url: URL.createObjectURL(blob), power: null });
  }

  /** `{blob, bitmap, url}` of a picture that is loaded. */
  get(picture) {
    return this.#known.get(picture.digest);
  }

  /** Its radially averaged power, of the pixels as they are. */
  power(picture) {
    const known = this.get(picture);
    known.power ??= measured(known.bitmap);
    return known.power;
  }

  /** Frees them all; their URLs lead nowhere from then on. */
  release() {
    for (const { url, bitmap } of this.#known.values()) {
      URL.revokeObjectURL(url);
      bitmap.close();
    }
    this.#known.clear();
  }
}

function measured(bitmap) {
  const side = bitmap.width;
  const canvas = new OffscreenCanvas(side, side);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  return radialPower(context.getImageData(0, 0, side, side).data, side);
}
