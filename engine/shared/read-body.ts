import { PgdbaError } from "../errors.ts";

/**
 * The text of an answer of at most `maxBytes`, counted after decompression, so that a small answer can't unpack into a large one.
 * @throws PgdbaError limit_exceeded
 */
export async function readBody(
  where: string,
  response: Response,
  maxBytes: number,
  hint: string,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > maxBytes)
      throw new PgdbaError("limit_exceeded", `${where} answered with more than ${maxBytes} bytes`, {
        hint,
      });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
