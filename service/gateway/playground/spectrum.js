// Radially averaged power spectra of pictures, in cycles per image.

/**
 * Power per ring of frequencies: entry r is the mean over the frequencies whose distance from zero
 * rounds to r, and over the three colours, of pixels from 0 to 1; r goes from 0 to side / 2.
 *
 * `rgba` holds side x side pixels of four bytes, as a canvas gives them.
 */
export function radialPower(rgba, side) {
  const rings = Math.floor(side / 2) + 1;
  const sums = new Float64Array(rings);
  const counts = new Float64Array(rings);
  for (let channel = 0; channel < 3; channel += 1) {
    const real = Float64Array.from({ length: side * side }, (_, i) => rgba[4 * i + channel] / 255);
    const imaginary = new Float64Array(side * side);
    transformImage(real, imaginary, side);
    for (let i = 0; i < side * side; i += 1) {
      const ring = Math.round(Math.hypot(signed(i % side, side), signed(Math.floor(i / side), side)));
      if (ring >= rings) continue;
      sums[ring] += (real[i] ** 2 + imaginary[i] ** 2) / (side * side);
      counts[ring] += 1;
    }
  }
  return sums.map((sum, ring) => sum / counts[ring]);
}

/** The radius below which `share` of the power lies, without that of the mean colour. */
export function radiusOf(power, share) {
  // A ring of radius r holds about 2 pi r frequencies.
  const weighted = Array.from(power, (value, ring) => value * ring);
  const total = weighted.reduce((sum, value) => sum + value, 0);
  let sum = 0;
  for (const [ring, value] of weighted.entries()) {
    sum += value;
    if (sum >= share * total) return ring;
  }
  return 0;
}

function signed(frequency, side) {
  return frequency <= side / 2 ? frequency : frequency - side;
}

function transformImage(real, imaginary, side) {
  for (let line = 0; line < side; line += 1) transformLine(real, imaginary, line * side, 1, side);
  for (let line = 0; line < side; line += 1) transformLine(real, imaginary, line, side, side);
}

function transformLine(real, imaginary, start, step, length) {
  const re = new Float64Array(length);
  const im = new Float64Array(length);
  for (let i = 0; i < length; i += 1) {
    re[i] = real[start + i * step];
    im[i] = imaginary[start + i * step];
  }
  const [outRe, outIm] = transform(re, im);
  for (let i = 0; i < length; i += 1) {
    real[start + i * step] = outRe[i];
    imaginary[start + i * step] = outIm[i];
  }
}

/** The discrete Fourier transform, by halves for as long as the length is even. */
export function transform(re, im) {
  const length = re.length;
  if (length % 2 === 1) return transformDirectly(re, im);
  const pick = (values, offset) => values.filter((_, i) => i % 2 === offset);
  const [evenRe, evenIm] = transform(pick(re, 0), pick(im, 0));
  const [oddRe, oddIm] = transform(pick(re, 1), pick(im, 1));
  const outRe = new Float64Array(length);
  const outIm = new Float64Array(length);
  for (let k = 0; k < length / 2; k += 1) {
    const angle = (-2 * Math.PI * k) / length;
    const turnedRe = Math.cos(angle) * oddRe[k] - Math.sin(angle) * oddIm[k];
    const turnedIm = Math.cos(angle) * oddIm[k] + Math.sin(angle) * oddRe[k];
    outRe[k] = evenRe[k] + turnedRe;
    outIm[k] = evenIm[k] + turnedIm;
    outRe[k + length / 2] = evenRe[k] - turnedRe;
    outIm[k + length / 2] = evenIm[k] - turnedIm;
  }
  return [outRe, outIm];
}

function transformDirectly(re, im) {
  const length = re.length;
  const outRe = new Float64Array(length);
  const outIm = new Float64Array(length);
  for (let k = 0; k < length; k += 1) {
    for (let i = 0; i < length; i += 1) {
      const angle = (-2 * Math.PI * ((k * i) % length)) / length;
      outRe[k] += re[i] * Math.cos(angle) - im[i] * Math.sin(angle);
      outIm[k] += im[i] * Math.cos(angle) + re[i] * Math.sin(angle);
    }
  }
  return [outRe, outIm];
}
