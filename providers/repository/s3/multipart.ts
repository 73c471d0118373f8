import { randomUUID } from "node:crypto";
import { PgdbaError } from "../../../engine/errors.ts";
import type { Bytes, Signalled } from "../contract.ts";
import type { Client } from "./client.ts";
import { textIn } from "./xml.ts";

/** By it an object is known as made by this very attempt, whose answer may have been lost. */
export const MARKED = "x-amz-meta-pgdba";

const MB = 1024 * 1024;
/** A store is given so long to forget the parts of an object that was given up. */
const GIVE_UP_MS = 5_000;
/** A store takes 10,000 parts: the later ones are larger, so that 400 GB fit, and the first 60 GB need little memory. */
const partBytes = (number: number): number =>
  number <= 2_500 ? 8 * MB : number <= 5_000 ? 16 * MB : 64 * MB;

/** Puts a stream of any length, part by part; the object is there when all of it is, and only where none has the name. */
export async function putParts(
  client: Client,
  name: string,
  content: Bytes,
  { signal }: Signalled,
): Promise<"made" | "taken"> {
  const mark = randomUUID();
  const begun = await client.ask({
    method: "POST",
    name,
    query: { uploads: "" },
    headers: { [MARKED]: mark },
    signal,
  });
  const uploadId = textIn(await begun.response.text(), "UploadId");
  if (!uploadId)
    throw new PgdbaError("repository_failed", `${client.where} does not take objects in parts`, {
      hint: "Use a store that speaks S3 with multipart uploads.",
    });
  let whole = false;
  try {
    const tags: string[] = [];
    let sending: Promise<void> = Promise.resolve();
    const send = async (number: number, body: Uint8Array): Promise<void> => {
      const query = { partNumber: String(number), uploadId };
      const { headers } = await client.ask({ method: "PUT", name, query, body, signal });
      tags[number - 1] = headers.get("etag") ?? "";
    };
    let number = 0;
    for await (const body of inParts(content)) {
      // One is on its way while the next is collected.
      await sending;
      number++;
      sending = send(number, body);
      sending.catch(() => {});
    }
    await sending;
    const list = tags
      .map((tag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${tag}</ETag></Part>`)
      .join("");
    const { status, repeated, response } = await client.ask({
      method: "POST",
      name,
      query: { uploadId },
      headers: { "if-none-match": "*" },
      body: new TextEncoder().encode(`<CompleteMultipartUpload>${list}</CompleteMultipartUpload>`),
      signal,
      answers: [412, 404],
    });
    if (status === 412 || status === 404) {
      const { headers } = await client.ask({ method: "HEAD", name, signal });
      const ours = repeated && headers.get(MARKED) === mark;
      whole = ours;
      return ours ? "made" : "taken";
    }
    // A store may begin with success and fail in the middle: the text tells.
    const text = await response.text();
    if (/<Error>/.test(text))
      throw new PgdbaError("repository_failed", `${client.where} did not put ${name} together`, {
        hint: "The store has a fault; run again later.",
        retryable: true,
      });
    whole = true;
    return "made";
  } finally {
    // Without the signal, which may be what has ended it; one that does not answer keeps nobody, for what is left is swept later.
    if (!whole) {
      const late = AbortSignal.timeout(GIVE_UP_MS);
      await client
        .ask({ method: "DELETE", name, query: { uploadId }, answers: [404], signal: late })
        .catch(() => {});
    }
  }
}

/** One is on its way while the next is filled: there are two buffers. A part is good until the one after the next is asked for. */
async function* inParts(content: Bytes): Bytes {
  let number = 1;
  let [filling, sent] = [new Uint8Array(partBytes(1)), new Uint8Array(partBytes(1))];
  let filled = 0;
  for await (const part of content) {
    for (let at = 0; at < part.length;) {
      const taken = part.subarray(at, at + filling.length - filled);
      filling.set(taken, filled);
      filled += taken.length;
      at += taken.length;
      if (filled < filling.length) continue;
      yield filling;
      number += 1;
      const size = partBytes(number);
      [filling, sent] = [sent.length === size ? sent : new Uint8Array(size), filling];
      filled = 0;
    }
  }
  if (filled > 0 || number === 1) yield filling.subarray(0, filled);
}
