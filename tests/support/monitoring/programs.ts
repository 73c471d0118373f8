/** Prometheus, Alertmanager and the exporters of a Debian that clusters run on, for tests on this machine. */

/** Why one of Debian's programs of this machine can't be used, or null. @throws Error when PGDBA_TEST_REQUIRE says that nothing may */
export function prometheusMissing(
  ...programs: ("promtool" | "amtool" | "prometheus-alertmanager")[]
): string | null {
  const missing = programs.filter((name) => Bun.which(name) === null);
  if (missing.length === 0) return null;
  const said = `not on this machine: ${missing.join(", ")}`;
  if ((process.env["PGDBA_TEST_REQUIRE"] ?? "").split(",").includes("prometheus"))
    throw new Error(`prometheus is required, but ${said}`);
  return said;
}
