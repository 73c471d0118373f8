/** Prometheus, Alertmanager and the exporters of a Debian that clusters run on, for tests on this machine. */
import { existsSync } from "node:fs";
import { chmod, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dockerMissing } from "../docker.ts";

/** Debian's packages, each with the program that is wanted of it. */
const PACKAGES = [
  "prometheus",
  "prometheus-alertmanager",
  "prometheus-postgres-exporter",
  "prometheus-pgbouncer-exporter",
  "prometheus-node-exporter",
] as const;

/** Why one of Debian's programs of this machine can't be used, or null. @throws Error when PGDBA_TEST_REQUIRE says that nothing may */
export function prometheusMissing(
  ...programs: ("prometheus" | "promtool" | "amtool" | "prometheus-alertmanager")[]
): string | null {
  const missing = programs.filter((name) => Bun.which(name) === null);
  if (missing.length === 0) return null;
  const said = `not on this machine: ${missing.join(", ")}`;
  if ((process.env["PGDBA_TEST_REQUIRE"] ?? "").split(",").includes("prometheus"))
    throw new Error(`prometheus is required, but ${said}`);
  return said;
}

/**
 * The folder with the programs of a suite, which are linked so that they run on other suites as well; fetched once by its own apt, about 8 s.
 * Or why there is none.
 */
export async function programsOf(
  suite: "trixie" | "forky",
): Promise<{ bin: string } | { missing: string }> {
  const tree = join(tmpdir(), `pgdba-monitoring-${suite}`);
  const bin = join(tree, "usr/bin");
  if (existsSync(bin)) return { bin };
  const missing = dockerMissing();
  if (missing !== null) return { missing };
  const image = `debian:${suite}-slim`;
  if (Bun.spawnSync(["docker", "image", "inspect", image]).exitCode !== 0)
    return { missing: `the Engine has no image ${image}` };
  const fetched = await mkdtemp(`${tree}.`);
  const script = `apt-get update -qq && cd /tmp && apt-get download -qq ${PACKAGES.join(" ")} >&2 && mkdir /t && for f in *.deb; do dpkg -x $f /t; done && tar -C /t -c usr/bin`;
  const words = ["run", "--rm", "-i", image, "sh", "-c", script];
  const run = Bun.spawn(["docker", ...words], { stdout: "pipe", stderr: "pipe" });
  const tar = Bun.spawn(["tar", "-C", fetched, "-x"], { stdin: run.stdout, stderr: "pipe" });
  const [told, code, unpacked] = await Promise.all([run.stderr.text(), run.exited, tar.exited]);
  if (code !== 0 || unpacked !== 0) {
    await rm(fetched, { recursive: true });
    throw new Error(`the programs of ${suite} could not be had: ${told}`);
  }
  await chmod(fetched, 0o755);
  // Another test process may have been first.
  await rename(fetched, tree).catch(() => rm(fetched, { recursive: true }));
  return { bin };
}
