/** Where the secrets of a watched cluster can be read: on its nodes, in what Prometheus keeps and tells, and in what the Engine tells. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { docker } from "../docker.ts";
import type { Live } from "../live.ts";
import type { Watched } from "./watched.ts";

/** Of all but the kernel's own files. */
const FILES = `grep -rlFf /dev/stdin --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev / 2>/dev/null | xargs -r -d '\\n' stat -c '%a %n'; true`;
const PROCESSES = `cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'; true`;
const SCRAPED = `
import json, ssl, sys, urllib.request
lenient = ssl._create_unverified_context()
for url in json.load(sys.stdin):
    print(urllib.request.urlopen(url, timeout=20, context=lenient).read().decode())
`;

/** The passwords and keys of the state folder, each by a line that nothing else has; what is public of TLS is none. */
function secretsOf({ place, name }: Live): string[] {
  const folder = join(place.home, "secrets", name);
  return readdirSync(folder)
    .filter((file) => !file.endsWith(".crt"))
    .map((file) => {
      const [first = "", second] = readFileSync(join(folder, file), "utf8").trim().split("\n");
      // A key in PEM begins with what each of them begins with.
      return first.startsWith("-----") ? second! : first;
    });
}

/** The files of a node that hold one, each with its mode in octal digits. */
export async function filesWithSecrets(live: Live, node: string): Promise<string[]> {
  const { stdout } = await (
    await live.nodes()
  ).exec(node, ["sh", "-c", FILES], { user: "0", stdin: `${secretsOf(live).join("\n")}\n` });
  return stdout.split("\n").filter(Boolean).toSorted();
}

/** What tells one, and may not. `node` is the one that monitors. */
export async function tellsSecrets(watched: Watched, node: string): Promise<string[]> {
  const { live } = watched;
  const nodes = await live.nodes();
  const on = async (argv: string[], stdin = "") =>
    (await nodes.exec(node, argv, { user: "0", stdin, maxBytes: 64 << 20 })).stdout;
  const asked = async (path: string) => JSON.stringify(await watched.ask(path));
  const { activeTargets } = (await watched.ask("/api/v1/targets?state=active")) as {
    activeTargets: { scrapeUrl: string }[];
  };
  const urls = activeTargets.map(({ scrapeUrl }) => scrapeUrl);
  const label = `label=pgdba.cluster=${live.name}`;
  const containers = (await docker("ps", "-aq", "--filter", label)).split("\n");
  const texts: Record<string, string> = {
    processes: await on(["sh", "-c", PROCESSES]),
    scrapes: await on(["python3", "-c", SCRAPED], JSON.stringify(urls)),
    series: await asked(`/api/v1/series?match[]=${encodeURIComponent('{__name__=~".+"}')}`),
    configuration: await asked("/api/v1/status/config"),
    flags: await asked("/api/v1/status/flags"),
    rules: await asked("/api/v1/rules"),
    alerts: JSON.stringify(watched.arrived),
    inspect: await docker("inspect", ...containers),
    log: (await nodes.logs(node)).text,
  };
  for (const [of, text] of Object.entries(texts))
    if (text.length < 100) throw new Error(`nothing was read of ${of}: ${text}`);
  return Object.entries(texts).flatMap(([of, text]) =>
    secretsOf(live).some((secret) => text.includes(secret)) ? [of] : [],
  );
}
