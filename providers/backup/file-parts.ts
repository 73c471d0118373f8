import { open } from "node:fs/promises";
import { fileError } from "../../engine/shared/write-file.ts";
import type { Bytes } from "../repository/contract.ts";

/** A file of any size, as it is read. @throws PgdbaError io_failed */
export async function* partsOf(path: string): Bytes {
  const file = await open(path, "r").catch((error: unknown) => {
    throw fileError(path, error);
  });
  try {
    for (;;) {
      const buffer = new Uint8Array(1024 * 1024);
      const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}
