import { BSON, type Document, Int32, ObjectId } from 'mongodb';
import { describe, expect, it } from 'vitest';
import { adviseFields } from '../../../mongo/documents/advise.js';
import { learnFields } from '../../../mongo/documents/learn.js';

const learn = (documents: readonly Document[]) =>
  learnFields(documents.map((document) => BSON.serialize(document)));

describe('learning fields from a sample', () => {
  it('names each field with its types, through documents and arrays', () => {
    const { documents, fields } = learn([
      { _id: new ObjectId(), email: 'a@b.test', address: { zip: '1', city: null }, tags: ['x', 'y'] },
      { _id: new ObjectId(), email: new Int32(5), orders: [{ total: 1.5 }, { total: new Int32(2) }] },
    ]);
    expect(documents).toBe(2);
    expect(fields.map(({ path, types }) => [path, types])).toEqual([
      ['_id', { objectId: 2 }],
      ['email', { string: 1, int: 1 }],
      ['address.zip', { string: 1 }],
      ['address.city', { null: 1 }],
      ['tags[]', { string: 2 }],
      ['orders[].total', { double: 1, int: 1 }],
    ]);
  });

  it('takes keys on which no two documents agree for data', () => {
    const documents = Array.from({ length: 20 }, (_, at) => ({
      _id: at,
      tiers: { [new ObjectId().toHexString()]: { level: 'gold' }, [`${at}f00${at}`]: { level: 'iron' } },
    }));
    const { fields, dataKeys } = learn(documents);
    expect(dataKeys).toEqual(['tiers.*~']);
    expect(fields.map(({ path }) => path)).toContain('tiers.*.level');
  });

  it('reads on past a document that is none', () => {
    const learned = learnFields([Buffer.from([9, 0, 0, 0, 1]), BSON.serialize({ a: 1 })]);
    expect(learned).toMatchObject({ documents: 2, unreadable: 1 });
    expect(learned.fields.map(({ path }) => path)).toEqual(['a']);
  });
});

describe('advice on fields', () => {
  it('comes from names and types, and says nothing where it knows nothing', () => {
    const learned = learn([
      { _id: 1, email: 'a@b.test', address: { street: 'Main St 1' }, blob: new ObjectId(), re: /x/ },
    ]);
    const advice = new Map(adviseFields('shop.customers', learned).map((one) => [one.path, one]));
    expect(advice.get('email')).toMatchObject({ spec: 'email' });
    expect(advice.get('address.street')).toMatchObject({ spec: 'street' });
    expect(advice.get('re')).toMatchObject({ confidence: 'none', reason: expect.stringContaining('regex') });
    expect(JSON.stringify([...advice])).not.toContain('Main St');
  });

  it('leaves a field that follows another one to that one', () => {
    const learned = learn([{ _id: 1, account: 5 }]);
    const follows = new Map([['account', 'shop.accounts._id']]);
    const [, account] = adviseFields('shop.customers', learned, follows);
    expect(account).toEqual({ path: 'account', confidence: 'high', reason: 'it follows shop.accounts._id' });
  });
});
