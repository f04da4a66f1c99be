// What is known of one job: made of its request, changed by the events of its log. No page here.

/**
 * `request` is what was asked for: `{model, classIndex, className, seed, guidance, count, bands,
 * keepBands, original}`; the last two are null but for a variation.
 */
export function newDrawing(request) {
  const images = Array.from({ length: request.count }, () => ({
    bands: [],
    bandsCompleted: null,
    shed: false,
  }));
  return {
    request,
    jobId: null,
    state: "queued",
    images,
    elapsedMs: 0,
    firstPictureMs: null,
    failure: null,
  };
}

export function isOver(drawing) {
  return ["completed", "cancelled", "failed"].includes(drawing.state);
}

/** Changes the drawing as the event says. Events of a newer service change nothing. */
export function applyEvent(drawing, { name, data }) {
  drawing.elapsedMs = Math.max(drawing.elapsedMs, data.elapsed_ms ?? 0);
  const change = CHANGES[name];
  if (change) change(drawing, data);
}

const CHANGES = {
  "job.started": (drawing) => {
    drawing.state = "running";
  },
  "band.completed": (drawing, data) => {
    drawing.state = "running";
    drawing.images[data.image_index].bands[data.band] = bandOf(data);
    if (data.preview) notePicture(drawing, data);
  },
  "image.completed": (drawing, data) => {
    const image = drawing.images[data.image_index];
    image.bandsCompleted = data.bands_completed;
    image.shed = data.shed;
    const last = image.bands[data.bands_completed - 1];
    last.picture = { ...data.picture, address: data.picture.url };
    last.isFinal = true;
    notePicture(drawing, data);
  },
  "job.completed": (drawing) => {
    drawing.state = "completed";
  },
  "job.cancelled": (drawing) => {
    drawing.state = "cancelled";
  },
  "job.failed": (drawing, data) => {
    drawing.state = "failed";
    drawing.failure = { code: data.code, message: data.message };
  },
};

function bandOf(data) {
  return {
    band: data.band,
    seconds: data.seconds,
    batchSize: data.batch_size,
    kept: data.kept,
    speedup: speedupOf(data),
    picture: data.preview && { ...data.preview, address: data.preview.url },
    isFinal: false,
    isLoaded: false,
  };
}

/** Times as fast as each baseline; null where the service has not measured one. */
function speedupOf(data) {
  const measured = data.speedup ?? {};
  return {
    asPublished: measured.as_published ?? null,
    sameCode: measured.same_code ?? null,
  };
}

function notePicture(drawing, data) {
  drawing.firstPictureMs ??= data.elapsed_ms;
}

/** How many bands of an image can be shown: those from the first on whose picture is there, or
 * will never be. */
export function shownCount(drawing, index) {
  const { bands, bandsCompleted } = drawing.images[index];
  const last = (bandsCompleted ?? drawing.request.bands) - 1;
  let count = 0;
  for (const band of bands) {
    if (!band) break;
    const isDropped = band.picture === null && (band.band < last || isOver(drawing));
    if (!band.isLoaded && !isDropped) break;
    count += 1;
  }
  return count;
}

/** How many bands the image will have had when all is over. */
export function expectedCount(drawing, index) {
  const { bands, bandsCompleted } = drawing.images[index];
  if (bandsCompleted !== null) return bandsCompleted;
  return isOver(drawing) ? bands.length : drawing.request.bands;
}

/** The latest band up to `band` that has a picture, or null. */
export function pictured(drawing, index, band) {
  const { bands } = drawing.images[index];
  for (let each = Math.min(band, bands.length - 1); each >= 0; each -= 1) {
    if (bands[each]?.isLoaded) return bands[each];
  }
  return null;
}
