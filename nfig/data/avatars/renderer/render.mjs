// Draws avatars. `node render.mjs SIDE`; each line of stdin is a request
// {"style": ..., "seed": ..., "backgrounds": ["rrggbb", ...]}, answered by SIDE x SIDE x RGB bytes.

import { createInterface } from 'node:readline';

import { createAvatar } from '@dicebear/core';
import { Resvg } from '@resvg/resvg-js';
import drawAnimal from 'animal-avatar-generator';

const side = Number(process.argv[2]);
const styles = new Map();

async function svgOf({ style, seed, backgrounds }) {
  if (style === 'animal') {
    const backgroundColors = backgrounds.map((color) => `#${color}`);
    return drawAnimal(seed, { size: side, round: false, backgroundColors });
  }
  if (!styles.has(style)) styles.set(style, await import(`@dicebear/${style}`));
  const options = { seed, size: side };
  if (backgrounds.length) options.backgroundColor = backgrounds;
  return createAvatar(styles.get(style), options).toString();
}

function pixelsOf(svg) {
  const options = { fitTo: { mode: 'width', value: side }, font: { loadSystemFonts: false } };
  const rgba = new Resvg(svg, options).render().pixels;
  if (rgba.length !== side * side * 4) throw new Error(`${rgba.length} bytes for side ${side}`);
  const rgb = Buffer.alloc(side * side * 3);
  for (let pixel = 0; pixel < side * side; pixel += 1) {
    if (rgba[4 * pixel + 3] !== 255) throw new Error('a background is transparent');
    rgba.copy(rgb, 3 * pixel, 4 * pixel, 4 * pixel + 3);
  }
  return rgb;
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(pixelsOf(await svgOf(JSON.parse(line))));
}
