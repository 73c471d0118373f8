/** A real browser without a window, for pages. Debian's package `chromium`. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inflateSync } from "node:zlib";

/** Starts offline, with nothing of anybody's, and calls nobody. */
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
];
const QUIET = ["--disable-sync", "--disable-quic", "--hide-scrollbars"];

/** What keeps these tests from running here, or null. @throws Error when PGDBA_TEST_REQUIRE says that nothing may */
export function chromiumMissing(): string | null {
  if (Bun.which("chromium") !== null) return null;
  const said = "chromium is not on this machine";
  if ((process.env["PGDBA_TEST_REQUIRE"] ?? "").split(",").includes("chromium"))
    throw new Error(`chromium is required, but ${said}`);
  return said;
}

/** Opens `file` and does what `flags` say, such as `--dump-dom`. @returns what it wrote to stdout @throws Error when it fails */
export async function browse(file: string, ...flags: string[]): Promise<string> {
  const profile = mkdtempSync(join(tmpdir(), "pgdba-chromium-"));
  try {
    const argv = [
      "chromium",
      ...FLAGS,
      ...QUIET,
      `--user-data-dir=${profile}`,
      ...flags,
      `file://${file}`,
    ];
    const env = { PATH: process.env["PATH"] ?? "", HOME: profile };
    const child = Bun.spawn(argv, {
      env,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: 30_000,
      killSignal: "SIGKILL",
    });
    const [out, errors] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    if ((await child.exited) !== 0)
      throw new Error(`chromium ${flags.join(" ")} failed: ${errors.slice(-1000)}`);
    return out;
  } finally {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

export interface Picture {
  width: number;
  height: number;
  /** Red, green and blue of the pixel in the upper left corner. */
  corner: [number, number, number];
}

/** Reads as much of a PNG of 8 bits per channel as tests need. In the first row's first pixel every filter leaves the values as they are. */
export function picture(png: Uint8Array): Picture {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  const parts: Uint8Array[] = [];
  for (let at = 8; at + 12 <= png.length; at += 12 + view.getUint32(at)) {
    const type = new TextDecoder().decode(png.subarray(at + 4, at + 8));
    if (type === "IDAT") parts.push(png.subarray(at + 8, at + 8 + view.getUint32(at)));
  }
  const [, red = 0, green = 0, blue = 0] = inflateSync(Buffer.concat(parts));
  return { width: view.getUint32(16), height: view.getUint32(20), corner: [red, green, blue] };
}
