/** The Docker Engine of this machine, by its command line. */

/** What keeps these tests from running here, or null. @throws Error when PGDBA_TEST_REQUIRE says that nothing may */
export function dockerMissing(
  env: Record<string, string | undefined> = process.env,
): string | null {
  const said = whyNot(env);
  if (said === null) return null;
  if ((env["PGDBA_TEST_REQUIRE"] ?? "").split(",").includes("docker"))
    throw new Error(`docker is required, but ${said}`);
  return said;
}

function whyNot(env: Record<string, string | undefined>): string | null {
  const program = Bun.which("docker", { PATH: env["PATH"] ?? "" });
  if (program === null) return "not on this machine: docker";
  const asked = Bun.spawnSync([program, "version", "-f", "{{.Server.Version}}"], {
    env,
    timeout: 10_000,
  });
  if (asked.exitCode === 0) return null;
  return `no Docker Engine answers: ${asked.stderr.toString().trim() || "10 s without a word"}`;
}

/** The same for tests that need `docker compose`, too. @throws Error when PGDBA_TEST_REQUIRE says that nothing may */
export function composeMissing(): string | null {
  const said = dockerMissing();
  if (said !== null || Bun.spawnSync(["docker", "compose", "version"]).exitCode === 0) return said;
  if ((process.env["PGDBA_TEST_REQUIRE"] ?? "").split(",").includes("docker"))
    throw new Error("docker is required, but not on this machine: docker compose");
  return "not on this machine: docker compose";
}

/** What a command of `docker` prints. @throws Error with what it says on stderr */
export async function docker(...args: string[]): Promise<string> {
  const child = Bun.spawn(["docker", ...args], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, told, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`docker ${args[0]} failed with ${code}: ${told}${out}`);
  return out.trim();
}

/** Any image with a shell, where it does not count what else is in a container. */
export async function anyImage(): Promise<string> {
  const tags = (await docker("images", "--format", "{{.Repository}}:{{.Tag}}")).split("\n");
  const found = tags.find((tag) => /^(pgdba-etcd|debian):/.test(tag) && !tag.includes("<none>"));
  if (found === undefined) throw new Error("the Engine has no image of pgdba and none of Debian");
  return found;
}
