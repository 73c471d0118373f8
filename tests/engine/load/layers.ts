import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll } from "bun:test";
import { type Layer, openLibrary } from "../../../engine/load/library.ts";
import type { LayerName, Library } from "../../../engine/types.ts";

/** Folders and libraries in a temporary place that is removed after the tests of the calling file. */
export function workspace() {
  const root = mkdtempSync(join(tmpdir(), "pgdba-load-"));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  let count = 0;

  /** A fresh folder that holds `files`, by path. */
  function folder(files: Record<string, string | Uint8Array>): string {
    const dir = join(root, String(++count));
    mkdirSync(dir);
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(dir, path)), { recursive: true });
      writeFileSync(join(dir, path), text);
    }
    return dir;
  }

  /** A library over layers given as `{builtin: {"a.yaml": text}, …}`, lowest first. */
  function library(
    layers: Partial<Record<LayerName, Record<string, string | Uint8Array>>>,
  ): Library & { dirs: Record<string, string> } {
    const list: Layer[] = Object.entries(layers).map(([name, files]) => ({
      name: name as LayerName,
      dir: folder(files),
    }));
    return {
      ...openLibrary(list),
      dirs: Object.fromEntries(list.map(({ name, dir }) => [name, dir])),
    };
  }

  return { folder, library };
}
