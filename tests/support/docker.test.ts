import { expect, test } from "bun:test";
import { docker, dockerMissing } from "./docker.ts";

const deaf = { ...process.env, DOCKER_HOST: "unix:///nonexistent/docker.sock" };

test("a machine without Docker is told apart from an Engine that does not answer", () => {
  expect(dockerMissing({ PATH: "/nonexistent" })).toBe("not on this machine: docker");
  if (Bun.which("docker") === null) return;
  expect(dockerMissing({ ...deaf, PGDBA_TEST_REQUIRE: "" })).toStartWith(
    "no Docker Engine answers: ",
  );
});

test("where Docker is required, its absence fails", () => {
  const env = { PATH: "/nonexistent", PGDBA_TEST_REQUIRE: "postgres,docker" };
  expect(() => dockerMissing(env)).toThrow("docker is required, but not on this machine: docker");
});

const missing = dockerMissing();
test.skipIf(missing !== null)(
  `a command's output and its failure (${missing ?? "here"})`,
  async () => {
    expect(await docker("version", "-f", "{{.Server.Os}}")).toBe("linux");
    expect(docker("image", "inspect", "no-such-image:x")).rejects.toThrow("docker image failed");
  },
);
