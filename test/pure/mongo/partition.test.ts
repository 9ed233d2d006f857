import { describe, expect, it } from 'vitest';
import { idOf } from '../../../mongo/ids.js';
import { plannedRange } from '../../../mongo/load/partition.js';
import { raw, rawDocument } from './raw.js';

describe('the batches of a partition', () => {
  const id = (n: number) => idOf(rawDocument([['_id', raw.int(n)]]))!;
  const rest = (from: number | null, to: number | null) =>
    ({ bracket: 'number', from: from === null ? null : id(from), to: to === null ? null : id(to) }) as const;
  const cuts = [id(10), id(20)];

  it('are those of its cut while every one ended there', () => {
    expect(plannedRange(rest(null, 30), cuts, 0)).toEqual(rest(null, 10));
    expect(plannedRange(rest(10, 30), cuts, 1)).toEqual(rest(10, 20));
    expect(plannedRange(rest(20, 30), cuts, 2)).toEqual(rest(20, 30));
    expect(plannedRange(rest(20, null), cuts, 2)).toBeUndefined();
    expect(plannedRange(rest(5, 30), [], 0)).toEqual(rest(5, 30));
  });

  it('are looked for once one ended elsewhere', () => {
    expect(plannedRange(rest(5, 30), cuts, 1)).toBeUndefined();
    expect(plannedRange(rest(25, 30), cuts, 1)).toBeUndefined();
    expect(plannedRange(rest(15, 30), cuts, 2)).toBeUndefined();
    expect(plannedRange(rest(15, 30), cuts, 3)).toBeUndefined();
    expect(plannedRange(rest(15, 30), [], 1)).toBeUndefined();
  });
});
