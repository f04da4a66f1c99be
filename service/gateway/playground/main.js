// The page: reads the controls, draws, and shows what comes.

import { Api } from "./api.js";
import { callText } from "./calls.js";
import { classChoices } from "./chooser.js";
import { applyEvent, expectedCount, isOver, newDrawing, pictured, shownCount } from "./drawing.js";
import { Pictures } from "./pictures.js";
import { Playback } from "./playback.js";
import { bandRows, drawSpectra, element, spectrumText } from "./views.js";
import { watchJob } from "./watching.js";

const KEY = "nfig-api-key";
const SLOW_MS = 450;
const at = (id) => document.getElementById(id);
const api = new Api({ key: () => sessionStorage.getItem(KEY) });
const page = { gateway: null, model: null, drawing: null, pictures: null, playback: null, leave: null };

async function start() {
  at("slow").checked = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  rollSeed();
  page.gateway = await api.gateway();
  at("count").max = page.gateway.max_images;
  at("key-field").hidden = !page.gateway.asks_for_keys;
  if (!page.gateway.asks_for_keys || sessionStorage.getItem(KEY)) await listModels();
}

async function listModels() {
  const models = await api.models();
  at("model").replaceChildren(...models.map(({ id }) => element("option", { text: id, value: id })));
  const able = models.find(({ engine }) => engine === "ready") ?? models[0];
  if (!able) return say("No model is registered yet: no worker has reported.");
  at("model").value = able.id;
  await chooseModel();
}

async function chooseModel() {
  page.model = await api.model(at("model").value);
  at("guidance").value = page.model.defaults.guidance_scale;
  const { id, class_names: names, bands } = page.model;
  const sprite = page.gateway.class_pictures.includes(id) ? `playground/classes/${id}.webp` : null;
  at("classes").replaceChildren(...classChoices(names, sprite));
  at("keep").max = bands;
  at("keep").value = Math.floor(bands / 2);
}

function rollSeed() {
  at("seed").value = crypto.getRandomValues(new Uint32Array(1))[0];
}

function readRequest() {
  if (!page.model) throw new Error("No model is known yet.");
  const index = Number(document.querySelector("[name=class]:checked").value);
  const name = page.model.class_names[index];
  const isClear = page.model.class_names.filter((each) => each === name).length === 1;
  const seed = Number(at("seed").value);
  if (!Number.isSafeInteger(seed)) throw new Error("The seed must be a whole number below 2^53.");
  return {
    model: page.model.id,
    classIndex: index,
    className: isClear ? name : String(index),
    seed,
    guidance: Number(at("guidance").value),
    count: Number(at("count").value),
    bands: page.model.bands,
    keepBands: null,
  };
}

/** Draws what the controls say; a variation, if a picture and how many of its bands are given. */
async function draw({ original = null, keepBands = null } = {}) {
  say("");
  if (at("new-seed").checked && page.drawing) rollSeed();
  const request = { ...readRequest(), keepBands };
  leave();
  const leaving = new AbortController();
  Object.assign(page, {
    drawing: newDrawing(request),
    gridSides: page.model.grid_sides,
    pictures: new Pictures(api),
    playback: new Playback({ paceMs: () => (at("slow").checked ? SLOW_MS : 0), onShow: render }),
    leave: leaving,
  });
  showImages(request.count);
  render();
  at("stage").scrollIntoView({ block: "nearest" });
  const drawing = page.drawing;
  const opening = new AbortController();
  try {
    drawing.jobId = original
      ? await api.vary(variationForm(request, original), { signal: opening.signal })
      : (await api.createJob(jobBody(request))).id;
    await follow(drawing, leaving.signal, () => opening.abort());
  } catch (error) {
    if (!leaving.signal.aborted) throw error;
  }
}

function jobBody({ model, classIndex, seed, guidance, count, bands }) {
  const asked = { model, class_label: classIndex, seed, guidance_scale: guidance };
  return { ...asked, num_images: count, previews: bands - 1 };
}

function variationForm({ model, className, seed, guidance, count, bands, keepBands }, original) {
  const form = new FormData();
  form.append("image", original, "picture.png");
  const said = { model, class_label: className, seed, guidance_scale: guidance, n: count };
  const all = { ...said, keep_bands: keepBands, stream: "true", partial_images: bands - 1 };
  for (const [name, value] of Object.entries(all)) form.append(name, value);
  return form;
}

async function follow(drawing, signal, onFirst) {
  const onConnection = (state) => {
    page.isLost = state === "lost";
    render();
  };
  for await (const event of watchJob(api, drawing.jobId, { signal, onConnection })) {
    // Whoever watches a variation's job keeps it alive; the call that made it may be left now.
    onFirst();
    applyEvent(drawing, event);
    const { image_index: index, band = event.data.bands_completed - 1 } = event.data;
    const known = drawing.images[index]?.bands[band];
    if (known?.picture) loadPicture(drawing, known);
    if (drawing.failure) say(`${drawing.failure.message} (${drawing.failure.code})`);
    step(drawing);
  }
}

async function loadPicture(drawing, band) {
  try {
    await page.pictures.load(band.picture);
    band.isLoaded = true;
    step(drawing);
  } catch (error) {
    if (drawing === page.drawing) report(error);
  }
}

function step(drawing) {
  if (drawing !== page.drawing) return;
  page.playback.ready(shownCount(drawing, chosenImage()));
  render();
}

/** Ends the drawing before: nobody looks at it any more. */
function leave() {
  if (!page.drawing) return;
  page.playback.stop();
  page.leave.abort();
  if (!isOver(page.drawing) && page.drawing.jobId) api.cancel(page.drawing.jobId).catch(() => {});
  page.pictures.release();
}

/** Keeps what has arrived; the job ends at its next band. */
async function stop() {
  if (at("stop").ariaDisabled === "true") return;
  page.playback.stop();
  page.stoppedAt = page.drawing;
  render();
  if (!isOver(page.drawing)) await api.cancel(page.drawing.jobId);
}

function chosenImage() {
  return Number(at("image").value || 0);
}

function showImages(count) {
  const options = Array.from({ length: count }, (_, i) => element("option", { text: i + 1, value: i }));
  at("image").replaceChildren(...options);
  at("which").hidden = count < 2;
}

function render() {
  const { drawing, playback, pictures, gridSides } = page;
  const index = chosenImage();
  const shown = playback.shown;
  const isBusy = !isOver(drawing) || playback.hasMore;
  at("stop").ariaDisabled = String(!isBusy || page.stoppedAt === drawing);
  at("rows").replaceChildren(...bandRows({ drawing, index, shown, gridSides }));
  at("status").textContent = statusText(drawing, index, shown);
  const band = pictured(drawing, index, shown);
  at("scrubber").hidden = shown < 0;
  at("more").hidden = !(band && isOver(drawing));
  at("film").replaceChildren(...film(drawing, index, shown));
  at("picture").hidden = !band;
  at("invitation").hidden = Boolean(band);
  at("download").hidden = !band;
  if (!band) return;
  showPicture(drawing, band, shown);
  at("band").max = Math.max(0, shownCount(drawing, index) - 1);
  at("band").value = shown;
  at("band").ariaValueText = `Band ${shown} of ${drawing.request.bands - 1}`;
  const powers = drawing.images[index].bands.map((each) => each?.isLoaded && pictures.power(each.picture));
  drawSpectra(at("spectrum"), powers, { shown: band.band, gridSide: gridSides[band.band] });
  at("spectrum-text").textContent = spectrumText(powers[band.band], band.band, gridSides[band.band]);
  renderCall();
}

function film(drawing, index, shown) {
  const last = page.playback.isFollowing ? shown : Infinity;
  const frames = drawing.images[index].bands.filter((band) => band?.isLoaded && band.band <= last);
  return frames.map((band) => {
    const image = element("img", { src: page.pictures.get(band.picture).url, alt: "" });
    image.className = band.band === shown ? "shown" : "";
    image.addEventListener("click", () => page.playback.goTo(band.band));
    return image;
  });
}

function showPicture(drawing, band, shown) {
  const { className, seed, bands } = drawing.request;
  const { url } = page.pictures.get(band.picture);
  at("picture").src = url;
  at("picture").alt = `${className.replaceAll("_", " ")} after band ${shown} of 0 to ${bands - 1}`;
  at("download").href = url;
  const stage = band.isFinal ? "" : `-band-${band.band}`;
  at("download").download = `${className}-${seed}${stage}.png`;
  at("kept").textContent = at("keep").value;
}

function renderCall() {
  const { drawing, playback } = page;
  const count = playback.shown + 1;
  const bands = count < drawing.request.bands ? count : null;
  const place = { bands, origin: location.origin, gateway: page.gateway };
  at("call").textContent = callText(at("language").value, drawing.request, place);
  at("copied").textContent = "";
}

function statusText(drawing, index, shown) {
  const isStopped = page.stoppedAt === drawing;
  if (page.isLost && !isOver(drawing) && !isStopped) return "Connection lost; it is made again, and nothing is missed.";
  if (drawing.state === "failed") return "The drawing failed.";
  if (shown < 0) return drawing.state === "queued" ? "Waiting for a worker." : "Drawing.";
  const { seconds, kept } = drawing.images[index].bands[shown];
  const took = kept ? "kept" : `${(seconds * 1000).toFixed(1)} ms`;
  const said = `Band ${shown} of 0 to ${expectedCount(drawing, index) - 1}: ${took}.`;
  if (isStopped) return `${said} Stopped; what had arrived is kept.`;
  const isWhole = shownCount(drawing, index) === expectedCount(drawing, index);
  const isDone = isOver(drawing) && isWhole && !page.playback.hasMore;
  return isDone ? `${said} All in ${drawing.elapsedMs.toFixed(0)} ms, seed ${drawing.request.seed}.` : said;
}

function say(text) {
  at("problem").textContent = text;
}

function report(error) {
  const after = error.retryAfter ? ` Try again in ${error.retryAfter} s.` : "";
  const code = error.code ? ` (${error.code})` : "";
  say(`${error.message}${code}${after}`);
}

const reported = (action) => (event) => Promise.resolve().then(() => action(event)).catch(report);

function listen() {
  const on = (id, name, action) => at(id).addEventListener(name, reported(action));
  for (const [id, action] of [["controls", draw], ["vary", vary]]) {
    at(id).addEventListener("submit", (event) => {
      event.preventDefault();
      reported(() => action())();
    });
  }
  on("model", "change", chooseModel);
  on("dice", "click", rollSeed);
  on("seed", "input", () => (at("new-seed").checked = false));
  on("stop", "click", stop);
  on("band", "input", () => page.playback.goTo(Number(at("band").value)));
  on("image", "change", () => step(page.drawing));
  on("keep", "input", () => (at("kept").textContent = at("keep").value));
  on("language", "change", renderCall);
  on("copy", "click", async () => {
    await navigator.clipboard.writeText(at("call").textContent);
    at("copied").textContent = "Copied.";
  });
  on("key", "change", () => {
    sessionStorage.setItem(KEY, at("key").value);
    return listModels();
  });
  document.addEventListener("keydown", scrubByKey);
}

async function vary() {
  const band = pictured(page.drawing, chosenImage(), page.playback.shown);
  const original = page.pictures.get(band.picture).blob;
  await draw({ original, keepBands: Number(at("keep").value) });
}

function scrubByKey(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const isTaken = event.target.closest("input, select, textarea, pre");
  if (!step || isTaken || !page.playback || event.altKey || event.ctrlKey || event.metaKey) return;
  page.playback.goTo(page.playback.shown + step);
}

listen();
reported(start)();
