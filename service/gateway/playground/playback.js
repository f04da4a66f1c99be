// Which band is on show: follows those that arrive, at a pace that eyes can follow, until a person
// takes over.

export class Playback {
  shown = -1;
  isFollowing = true;
  #ready = 0;
  #shownAt = -Infinity;
  #timer = null;

  /** `paceMs()` is the least time per band; `onShow(band)` hears of each change. */
  constructor({ paceMs, onShow }) {
    this.paceMs = paceMs;
    this.onShow = onShow;
  }

  /** Bands 0 to `count` - 1 can be shown. */
  ready(count) {
    this.#ready = count;
    this.#advance();
  }

  get hasMore() {
    return this.isFollowing && this.shown < this.#ready - 1;
  }

  /** By hand: what arrives from now on waits. */
  goTo(band) {
    this.isFollowing = false;
    this.#show(Math.max(0, Math.min(this.#ready - 1, band)));
  }

  stop() {
    this.isFollowing = false;
    clearTimeout(this.#timer);
  }

  #advance() {
    clearTimeout(this.#timer);
    if (!this.hasMore) return;
    const wait = this.#shownAt + this.paceMs() - performance.now();
    if (wait > 0) {
      this.#timer = setTimeout(() => this.#advance(), wait);
      return;
    }
    this.#shownAt = performance.now();
    this.#show(this.paceMs() > 0 ? this.shown + 1 : this.#ready - 1);
    this.#advance();
  }

  #show(band) {
    if (band < 0) return;
    this.shown = band;
    this.onShow(band);
  }
}
