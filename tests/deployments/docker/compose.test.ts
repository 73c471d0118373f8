/** `docker-compose.yml` and what the provider would make from the spec of the same cluster. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { filesOf, secretsOf } from "../../../providers/nodes/configuration/files.ts";
import { backupsFor } from "../../../providers/nodes/docker/backups.ts";
import { containerOf } from "../../../providers/nodes/docker/create.ts";
import { recipeOf } from "../../../providers/nodes/docker/images/recipe.ts";
import { BACKUPS_DIR, layoutOf } from "../../../providers/nodes/docker/roles.ts";
import { SPEC } from "../../support/whole-cluster.ts";
import { expectFile } from "../../templates/golden.ts";

const FOLDER = join(import.meta.dir, "../../../deployments/docker");
const compose = parse(readFileSync(join(FOLDER, "docker-compose.yml"), "utf8"), { merge: true });
const UNITS: Record<string, number> = { gb: 2 ** 30, s: 1 };

const amount = (text: string) => {
  const [, number, unit] = /^(\d+)([a-z]+)$/.exec(text)!;
  return Number(number) * UNITS[unit!]!;
};

test("the services are the nodes", () => {
  expect(Object.keys(compose.services)).toEqual(SPEC.nodes.map(({ name }) => name));
});

test.each(SPEC.nodes)("$name is the container that the provider would make", (node) => {
  const [role] = node.roles;
  const layout = layoutOf(role!);
  const made = containerOf({
    cluster: { name: "demo" },
    node,
    image: "image",
    name: node.name,
    labels: {},
    address: "127.0.0.1",
    ports: Object.fromEntries(layout.ports.map((port) => [port, port])),
    backups: backupsFor({}, role!),
    // Compose gives its containers addresses itself.
    ip: null,
  });
  const host = made.HostConfig!;
  const service = compose.services[node.name];

  // Nothing stands in a service that is not compared here.
  expect(Object.keys(service).toSorted()).toEqual(
    [
      ..."build hostname image logging networks ports restart secrets".split(" "),
      ..."shm_size stop_grace_period volumes".split(" "),
      ...(layout.memory === undefined ? [] : ["tmpfs"]),
      ...(role === "postgres" ? ["depends_on"] : []),
    ].toSorted(),
  );
  // The provider sets no environment, capability, command or user either.
  expect(Object.keys(made).toSorted()).toEqual([
    "ExposedPorts",
    "HostConfig",
    "Hostname",
    "Image",
    "Labels",
    "NetworkingConfig",
    "StopTimeout",
    "name",
  ]);
  expect(Object.keys(host).toSorted()).toEqual(
    [
      ..."LogConfig Mounts NetworkMode PortBindings RestartPolicy ShmSize".split(" "),
      ...(layout.memory === undefined ? [] : ["Tmpfs"]),
    ].toSorted(),
  );

  const recipe = recipeOf(role!, SPEC.version, "");
  expect(service.build).toEqual({
    context: ".",
    dockerfile: `Dockerfile.${role}`,
    args: recipe.arguments,
  });
  expect(service.image).toBe(
    `\${PGDBA_${role!.toUpperCase()}_IMAGE:-pgdba-${role}:${SPEC.version}}`,
  );
  expect(service.hostname).toBe(made.Hostname);
  expect(service.restart).toBe(host.RestartPolicy!.Name);
  expect(service.networks).toEqual(["cluster"]);
  expect(service.logging).toEqual({
    driver: host.LogConfig!.Type,
    options: host.LogConfig!.Config,
  });
  expect(amount(service.shm_size)).toBe(host.ShmSize!);
  expect(amount(service.stop_grace_period)).toBe(made.StopTimeout!);
  expect(service.tmpfs).toEqual(
    host.Tmpfs && Object.entries(host.Tmpfs).map(([path, options]) => `${path}:${options}`),
  );
  expect(service.ports.map((port: string) => port.replace(/\$\{\w+:-\d+\}/, "N"))).toEqual(
    Object.entries(host.PortBindings!).map(
      ([inside, [binding]]: [string, any]) => `${binding.HostIp}:N:${inside.replace("/tcp", "")}`,
    ),
  );
  const volumes = host.Mounts!.filter(({ Target }) => Target !== "/run/secrets");
  expect(service.volumes).toEqual([
    ...volumes.map(({ Target }) => `${Target === BACKUPS_DIR ? "backups" : node.name}:${Target}`),
    `./compose/${node.name}:/etc/pgdba:ro`,
  ]);
  expect(service.secrets.toSorted()).toEqual(Object.keys(secretsOf(SPEC, node)).toSorted());
});

test.each(SPEC.nodes)("$name has the configuration that the provider would give it", (node) => {
  const folder = join(FOLDER, "compose", node.name);
  const files = filesOf(SPEC, node);
  for (const [name, text] of Object.entries(files)) expectFile(text, join(folder, name));
  expect(readdirSync(folder).toSorted()).toEqual(Object.keys(files).toSorted());
});

test("the volume for backups has the provider's name, and goes with no cluster", () => {
  const { backups } = compose.volumes;
  expect(backups).toEqual({
    name: `\${PGDBA_BACKUPS:-${backupsFor({}, "postgres")}}`,
    external: true,
  });
});

test("secrets come from files, and what the services name is there", () => {
  const used = Object.values<any>(compose.services).flatMap(({ secrets }) => secrets);
  expect(Object.keys(compose.secrets).toSorted()).toEqual([...new Set<string>(used)].toSorted());
  for (const [name, secret] of Object.entries(compose.secrets))
    expect(secret).toEqual({ file: `\${PGDBA_SECRETS:-./secrets}/${name}` });
  expect(Object.keys(compose.networks)).toEqual(["cluster"]);
});
