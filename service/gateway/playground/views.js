// What is known, as a person sees it: rows of bands, the chart of spectra, the film strip.

import { expectedCount } from "./drawing.js";
import { radiusOf } from "./spectrum.js";

const SVG = "http://www.w3.org/2000/svg";
const MOST_POWER = 0.99;

export function element(name, { text = null, ...properties } = {}, children = []) {
  const made = Object.assign(document.createElement(name), properties);
  if (text !== null) made.textContent = text;
  made.append(...children);
  return made;
}

/** A row per band: its latency, and its speedup where the service has measured one. */
export function bandRows({ drawing, index, shown, gridSides }) {
  const { bands } = drawing.images[index];
  const longest = Math.max(...bands.map((band) => band?.seconds ?? 0), 1e-9);
  return Array.from({ length: expectedCount(drawing, index) }, (_, band) => {
    const known = bands[band];
    const name = element("th", { scope: "row", text: `${band}` }, [
      element("small", { text: `${gridSides[band]} × ${gridSides[band]}` }),
    ]);
    const cells = known ? [latencyCell(known, longest), speedupCell(known)] : [blank(), blank()];
    return element("tr", { className: band === shown ? "shown" : "" }, [name, ...cells]);
  });
}

function blank() {
  return element("td", { text: "…" });
}

function latencyCell(band, longest) {
  if (band.kept) return element("td", { text: "kept" });
  const bar = element("div", { className: "bar" });
  bar.style.width = `${(100 * band.seconds) / longest}%`;
  return element("td", {}, [`${(band.seconds * 1000).toFixed(1)} ms`, bar]);
}

function speedupCell({ kept, speedup }) {
  if (kept) return element("td", { text: "–" });
  const { asPublished, sameCode } = speedup;
  if (asPublished === null && sameCode === null) return element("td", { className: "none", text: "not measured" });
  const said = (times) => (times === null ? "not measured" : `${times.toFixed(2)}×`);
  return element("td", { text: `${said(asPublished)} / ${said(sameCode)}` });
}

/** Curves of all bands that have a picture; that of the shown one stands out. */
export function drawSpectra(svg, powers, { shown, gridSide }) {
  const side = 2 * (powers.find(Boolean).length - 1);
  const at = (radius) => 20 + (290 * Math.log2(Math.max(1, radius))) / Math.log2(side / 2);
  const curves = powers.map((power, band) => {
    if (!power) return null;
    const points = Array.from(power).slice(1).map((value, i) => {
      const height = Math.min(1, Math.max(0, (Math.log10(value + 1e-9) + 6) / 9));
      return `${at(i + 1).toFixed(1)},${(145 - 135 * height).toFixed(1)}`;
    });
    return shape("path", { d: `M${points.join("L")}`, class: band === shown ? "shown" : "" });
  });
  const limit = at(gridSide / 2);
  const marks = [shape("line", { x1: limit, x2: limit, y1: 10, y2: 145 })];
  for (let radius = 1; radius <= side / 2; radius *= 2) {
    const label = shape("text", { x: at(radius), y: 162 });
    label.textContent = radius;
    marks.push(label);
  }
  svg.replaceChildren(...marks, ...curves.filter(Boolean));
}

/** What the chart says, in a sentence. */
export function spectrumText(power, band, gridSide) {
  const radius = radiusOf(power, MOST_POWER);
  return `Power by cycles per image. After band ${band}, 99 % lies within ${radius}. The dashed line is the limit of its grid, ${gridSide / 2}; what lies beyond is the decoder's.`;
}

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
