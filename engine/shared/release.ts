/**
 * Gives back the memory of bytes that nobody looks at any more. The collector goes by its own heap, and learns late what buffers hold outside of
 * it: a stream would fill hundreds of MB with parts that were used long ago. Bytes that share their buffer with others are left alone.
 */
export function release({ buffer, byteLength }: Uint8Array): void {
  if (byteLength === buffer.byteLength && byteLength >= WORTH_IT)
    (buffer as ArrayBuffer).transfer(0);
}

const WORTH_IT = 4096;
