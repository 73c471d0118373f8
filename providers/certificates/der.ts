/** The few shapes of ASN.1's distinguished encoding (X.690) that a certificate is made of. */

const tagged = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag, ...lengthOf(content.length)]), content]);
};

function lengthOf(size: number): number[] {
  if (size < 0x80) return [size];
  const bytes: number[] = [];
  for (let rest = size; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [0x80 | bytes.length, ...bytes];
}

export const sequence = (...parts: readonly Uint8Array[]): Buffer => tagged(0x30, ...parts);
export const set = (...parts: readonly Uint8Array[]): Buffer => tagged(0x31, ...parts);
export const octets = (bytes: Uint8Array): Buffer => tagged(0x04, bytes);
export const truth = (): Buffer => tagged(0x01, Buffer.from([0xff]));
export const text = (value: string): Buffer => tagged(0x0c, Buffer.from(value, "utf8"));
/** A part that is known by its number: `[n]` around whole values, or in the place of the tag of a plain one. */
export const around = (number: number, ...parts: readonly Uint8Array[]): Buffer =>
  tagged(0xa0 | number, ...parts);
export const numbered = (number: number, bytes: Uint8Array): Buffer => tagged(0x80 | number, bytes);

/** Bits whose last `unused` do not count. */
export const bits = (bytes: Uint8Array, unused = 0): Buffer =>
  tagged(0x03, Buffer.from([unused]), bytes);

/** A number that is not negative, in as few bytes as it takes. */
export function integer(bytes: Uint8Array): Buffer {
  const from = bytes.findIndex((byte) => byte !== 0);
  const short = from === -1 ? Buffer.from([0]) : Buffer.from(bytes.subarray(from));
  return tagged(0x02, ...(short[0]! & 0x80 ? [Buffer.from([0]), short] : [short]));
}

/** An object identifier from its dotted form. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap((arc) => {
    const seven = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) seven.unshift((left & 0x7f) | 0x80);
    return seven;
  });
  return tagged(0x06, Buffer.from(bytes));
}

/** RFC 5280: two digits of the year up to 2049, four from 2050 on. */
export function time(at: Date): Buffer {
  const digits = at
    .toISOString()
    .replace(/\.\d+Z$/, "Z")
    .replace(/[-:T]/g, "");
  const isShort = at.getUTCFullYear() < 2050;
  return tagged(isShort ? 0x17 : 0x18, Buffer.from(isShort ? digits.slice(2) : digits, "latin1"));
}
