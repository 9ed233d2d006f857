/**
 * What changes in the documents of a batch, in the order in which it stands there, as columns of numbers: slots (what is
 * replaced, `target` says by what) and frames (documents and arrays with slots inside, whose lengths may change).
 */
export class Edits {
  slots = 0;
  frames = 0;
  /** A target (1 and up), `EMPTY`, `DROP`, or `DERIVED` and below; of a field at the document's end, too. */
  target = new Int32Array(FIRST);
  /** The slot's value among those of its target. */
  item = new Int32Array(FIRST);
  /** Index of the type byte; -1 for a field that is new at the document's end. */
  element = new Int32Array(FIRST);
  /** Where the replaced bytes start and end: a value, or a name. */
  start = new Int32Array(FIRST);
  end = new Int32Array(FIRST);
  /** The innermost frame around the slot. */
  frame = new Int32Array(FIRST);
  /** Where a frame's length stands, the frame around it (-1: none), and how many slots are in front of it. */
  frameStart = new Int32Array(FIRST);
  frameParent = new Int32Array(FIRST);
  frameSlots = new Int32Array(FIRST);

  addSlot(target: number, item: number, element: number, start: number, end: number, frame: number): void {
    const at = this.slots++;
    if (at === this.target.length) this.moreSlots();
    this.target[at] = target;
    this.item[at] = item;
    this.element[at] = element;
    this.start[at] = start;
    this.end[at] = end;
    this.frame[at] = frame;
  }

  /** Returns its number. */
  addFrame(start: number, parent: number): number {
    const at = this.frames++;
    if (at === this.frameStart.length) this.moreFrames();
    this.frameStart[at] = start;
    this.frameParent[at] = parent;
    this.frameSlots[at] = this.slots;
    return at;
  }

  private moreSlots(): void {
    this.target = twice(this.target);
    this.item = twice(this.item);
    this.element = twice(this.element);
    this.start = twice(this.start);
    this.end = twice(this.end);
    this.frame = twice(this.frame);
  }

  private moreFrames(): void {
    this.frameStart = twice(this.frameStart);
    this.frameParent = twice(this.frameParent);
    this.frameSlots = twice(this.frameSlots);
  }
}

/** Slots or frames that there is room for at first. */
const FIRST = 4_096;

function twice(column: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const more = new Int32Array(column.length * 2);
  more.set(column);
  return more;
}
