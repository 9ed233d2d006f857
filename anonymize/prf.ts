import { Cmac, packText } from '../crypto/cmac.js';
import { hkdf } from '../crypto/hkdf.js';
import { canonicalColumn } from './canonical.js';
import type { Column, ColumnType, Prf } from './transformer.js';

/** AES-256-CMAC under a sub-key for each label. */
export function keyedPrf(key: Uint8Array): Prf {
  const lanes = new Map<string, Cmac>();
  const subKey = (label: string): Uint8Array => hkdf(key, `lethe/1/label/${label}`);
  return {
    subKey,
    bytes(label, values) {
      let lane = lanes.get(label);
      if (!lane) {
        lane = new Cmac(subKey(label));
        lanes.set(label, lane);
      }
      return lane.tags(packText(values));
    },
  };
}

/** The function over values as their type compares them. */
export function canonicalPrf(prf: Prf, equality: ColumnType['equality']): Prf {
  if (equality === 'exact') return prf;
  return {
    subKey: (label) => prf.subKey(label),
    bytes: (label: string, values: Column) => prf.bytes(label, canonicalColumn(values, equality)),
  };
}

/** The function of a part of a value: unrelated to the whole's and to other parts'. */
export function partPrf(prf: Prf, part: string): Prf {
  const inner = (label: string): string => `${part.length}:${part}/${label}`;
  return {
    subKey: (label) => prf.subKey(inner(label)),
    bytes: (label, values) => prf.bytes(inner(label), values),
  };
}
