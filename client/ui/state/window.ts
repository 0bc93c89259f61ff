// Which rows of a long list are drawn: heights that were measured or are estimated, where each row begins, and
// which ones touch the viewport. Pure arithmetic; the list component feeds and asks it.
export class RowWindow {
  private keys: string[] = [];
  private readonly measured = new Map<string, number>();
  /** offsets[i]: where row i begins; one more at the end, the whole height. */
  private offsets = new Float64Array(1);

  constructor(private readonly estimate: number) {}

  setRows(keys: string[]): void {
    this.keys = keys;
    if (this.measured.size > 4 * keys.length + 1000) this.forget();
    this.layOut();
  }

  private forget(): void {
    const alive = new Set(this.keys);
    for (const key of this.measured.keys()) if (!alive.has(key)) this.measured.delete(key);
  }

  private layOut(): void {
    if (this.offsets.length !== this.keys.length + 1) this.offsets = new Float64Array(this.keys.length + 1);
    let at = 0;
    this.keys.forEach((key, i) => {
      this.offsets[i] = at;
      at += this.measured.get(key) ?? this.estimate;
    });
    this.offsets[this.keys.length] = at;
  }

  /** Takes real heights; true when any was news. */
  measure(heights: Iterable<[string, number]>): boolean {
    let news = false;
    for (const [key, height] of heights) {
      if (Math.abs((this.measured.get(key) ?? -1) - height) < 0.5) continue;
      this.measured.set(key, height);
      news = true;
    }
    if (news) this.layOut();
    return news;
  }

  get height(): number {
    return this.offsets[this.keys.length] ?? 0;
  }

  top(index: number): number {
    return this.offsets[Math.max(0, Math.min(index, this.keys.length))] ?? 0;
  }

  keyAt(index: number): string | undefined {
    return this.keys[index];
  }

  indexOf(key: string): number {
    return this.keys.indexOf(key);
  }

  /** The row that covers this height. */
  at(y: number): number {
    let low = 0;
    let high = Math.max(0, this.keys.length - 1);
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.offsets[middle] ?? 0) <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** First row and the one after the last that touch [from, to). */
  range(from: number, to: number): [number, number] {
    if (this.keys.length === 0) return [0, 0];
    return [this.at(Math.max(0, from)), Math.min(this.keys.length, this.at(Math.max(0, to)) + 1)];
  }
}
