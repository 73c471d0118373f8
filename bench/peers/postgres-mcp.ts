import { join } from "node:path";

/**
 * Release 0.3.0 asks for exactly pglast 7.2.0, which the registry no longer has, and pip then quietly takes 0.1.0, which has no advisor.
 * 7.20 and later have the same grammar, PostgreSQL 17's. Of mcp, 2.x no longer has what 0.3.0 imports.
 */
const PEER = "postgres-mcp==0.3.0";
const NEEDS = [
  "attrs>=25.3.0",
  "humanize>=4.8.0",
  "instructor>=1.7.9",
  "mcp[cli]>=1.5.0,<2",
  "pglast>=7.20,<8",
  "psycopg-pool>=3.2.6",
  "psycopg[binary]>=3.2.6",
];
const PYTHONS = ["python3", "python3.14", "python3.13", "python3.12"];

export interface PeerAdvice {
  indexes: string[];
  seconds: number;
  error: string | null;
}

async function run(argv: string[], env: Record<string, string> = {}, input = "") {
  const child = Bun.spawn(argv, {
    env: { ...process.env, ...env },
    stdin: new Blob([input]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { out, errors, ok: code === 0 };
}

const has = async (python: string, code: string) => (await run([python, "-c", code])).ok;

/**
 * A Python that has the peer: the one named by BENCH_PYTHON when it has it, else a new environment in `dir`, made with that one or
 * with the first on the path that is new enough (3.12).
 * @throws Error why it can't be had
 */
export async function findPeer(dir: string): Promise<string> {
  const named = process.env["BENCH_PYTHON"];
  if (named && (await has(named, "import postgres_mcp.index.dta_calc"))) return named;
  let base: string | undefined;
  for (const python of named ? [named] : PYTHONS.filter((name) => Bun.which(name)))
    if (await has(python, "import sys; sys.exit(sys.version_info < (3, 12))")) base ??= python;
  if (base === undefined)
    throw new Error(
      `no Python 3.12 among ${named ?? PYTHONS.join(", ")}; name one in BENCH_PYTHON`,
    );
  const python = join(dir, "venv/bin/python");
  for (const argv of [
    [base, "-m", "venv", join(dir, "venv")],
    [python, "-m", "pip", "install", "--quiet", "--no-deps", PEER],
    [python, "-m", "pip", "install", "--quiet", ...NEEDS],
  ]) {
    const { ok, errors } = await run(argv);
    if (!ok) throw new Error(`${argv.slice(0, 4).join(" ")}: ${errors.trim().slice(-300)}`);
  }
  return python;
}

/** What the peer advises. Its order of candidates hangs on Python's hashes, which are therefore fixed. @throws Error when it crashes */
export async function peerAdvice(
  python: string,
  uri: string,
  workload: readonly { query: string; calls: number }[],
  options: Record<string, number>,
): Promise<PeerAdvice> {
  const { ok, out, errors } = await run(
    [python, join(import.meta.dir, "postgres_mcp_advice.py")],
    { DATABASE_URI: uri, PYTHONHASHSEED: "0" },
    JSON.stringify({ workload, options }),
  );
  if (!ok) throw new Error(`postgres-mcp: ${errors.slice(-600)}`);
  return JSON.parse(out) as PeerAdvice;
}
