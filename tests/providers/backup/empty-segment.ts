import { startOf } from "../../../providers/backup/segments.ts";

export const KEY = { system_identifier: "7431234567890123456", version: 17, cluster_id: "shop" };

/** A segment of timeline 1 that holds nothing but what it says of itself. */
export function emptySegment(number: number, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  bytes.writeUInt32LE(1, 4);
  bytes.writeBigUInt64LE(startOf(BigInt(number), size), 8);
  bytes.writeBigUInt64LE(BigInt(KEY.system_identifier), 24);
  bytes.writeUInt32LE(size, 32);
  return bytes;
}
