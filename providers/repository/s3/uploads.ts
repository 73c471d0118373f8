/** Objects that were begun in parts and never ended: no list of objects shows them, and the store keeps and bills their parts. */
import type { Client } from "./client.ts";
import { textIn } from "./xml.ts";

/** Of a store that keeps no list of them, nothing is known to be left. */
const NO_LIST = [501, 405];

/** Gives the number of those that it removed: nobody has given them a part since `before`. */
export async function removeUploads(
  client: Client,
  prefix: string,
  before: Date,
  signal?: AbortSignal,
): Promise<number> {
  let removed = 0;
  for (const upload of await uploadsOf(client, prefix, signal)) {
    if (upload.begun >= before || (await lastPart(client, upload, signal)) >= before) continue;
    const { name, uploadId } = upload;
    await client.ask({ method: "DELETE", name, query: { uploadId }, signal, answers: [404] });
    removed += 1;
  }
  return removed;
}

interface Upload {
  /** Below the prefix. */
  name: string;
  uploadId: string;
  begun: Date;
}

async function uploadsOf(
  client: Client,
  prefix: string,
  signal: AbortSignal | undefined,
): Promise<Upload[]> {
  const found: Upload[] = [];
  let from: Record<string, string> = {};
  for (;;) {
    const query = { uploads: "", prefix, ...from };
    const { status, response } = await client.ask({
      method: "GET",
      query,
      signal,
      answers: NO_LIST,
    });
    if (NO_LIST.includes(status)) return found;
    const text = await response.text();
    for (const [, item = ""] of text.matchAll(/<Upload>(.*?)<\/Upload>/gs)) {
      const key = textIn(item, "Key") ?? "";
      const uploadId = textIn(item, "UploadId") ?? "";
      const begun = new Date(textIn(item, "Initiated") ?? NaN);
      if (key.startsWith(prefix) && uploadId !== "" && !Number.isNaN(begun.getTime()))
        found.push({ name: key.slice(prefix.length), uploadId, begun });
    }
    const next = textIn(text, "NextKeyMarker") ?? "";
    if (textIn(text, "IsTruncated") !== "true" || next === "") return found;
    from = {
      "key-marker": next,
      "upload-id-marker": textIn(text, "NextUploadIdMarker") ?? "",
    };
  }
}

/** When it was given a part last; the beginning of time for one that was given none, or is gone. */
async function lastPart(
  client: Client,
  { name, uploadId }: Upload,
  signal: AbortSignal | undefined,
): Promise<Date> {
  let last = new Date(0);
  let after = "";
  for (;;) {
    const query = { uploadId, ...(after === "" ? {} : { "part-number-marker": after }) };
    const { status, response } = await client.ask({
      method: "GET",
      name,
      query,
      signal,
      answers: [404],
    });
    if (status === 404) return last;
    const text = await response.text();
    for (const [, item = ""] of text.matchAll(/<Part>(.*?)<\/Part>/gs)) {
      const at = new Date(textIn(item, "LastModified") ?? NaN);
      if (at > last) last = at;
    }
    after = textIn(text, "NextPartNumberMarker") ?? "";
    if (textIn(text, "IsTruncated") !== "true" || after === "") return last;
  }
}
