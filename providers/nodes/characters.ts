/** Bytes of UTF-8 without the first part of a character at their end that is not whole. */
export function wholeCharacters<B extends Uint8Array>(bytes: B): B {
  for (let back = 1; back <= Math.min(4, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if (isWithin(byte)) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? (bytes.subarray(0, bytes.length - back) as B) : bytes;
  }
  return bytes;
}

/** Bytes of UTF-8 from their first whole character on. */
export function startOfCharacter<B extends Uint8Array>(bytes: B): B {
  let at = 0;
  while (at < Math.min(4, bytes.length) && isWithin(bytes[at]!)) at++;
  return bytes.subarray(at) as B;
}

/** True for a byte that does not begin a character. */
function isWithin(byte: number): boolean {
  return (byte & 0b1100_0000) === 0b1000_0000;
}
