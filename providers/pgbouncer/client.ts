import { PgdbaError } from "../../engine/errors.ts";
import type { AccessFor } from "../../engine/types.ts";
import type { ConnectionSpec } from "../postgres/connect.ts";
import { Console, type Row } from "./console.ts";
import type { PgbouncerAccess, PgbouncerInstance, PgbouncerSpec } from "./contract.ts";
import { FollowerClient } from "./follower.ts";
import { writeThrough } from "./write.ts";

/** What SHOW can be asked for, in every version from 1.18 on. */
export const SHOWS = [
  "clients",
  "config",
  "databases",
  "dns_hosts",
  "dns_zones",
  "lists",
  "mem",
  "pools",
  "servers",
  "sockets",
  "stats",
  "stats_averages",
  "stats_totals",
  "totals",
  "users",
  "version",
] as const;

/** See `Access.pgbouncer`. A step that reads gets only what reads. */
export function pgbouncerAccess(
  spec: PgbouncerSpec,
  on: Pick<AccessFor, "effect" | "signal">,
  /** The cluster's own role, for a write of ours. */
  role: ConnectionSpec,
): PgbouncerAccess {
  const { instances } = spec;
  const find = (name: string): PgbouncerInstance => {
    const found = instances.find((one) => one.name === name);
    if (found !== undefined) return found;
    throw new PgdbaError("invalid_param", `There is no PgBouncer ${name}`, {
      hint: `There are: ${instances.map((one) => one.name).join(", ")}.`,
    });
  };
  const mayChange = (what: string): void => {
    if (on.effect !== "read") return;
    throw new PgdbaError("step_refused", `A step that reads may not ${what}`, {
      hint: "Nothing was sent. Declare `effect: change` in the step type when it changes something.",
      nothingDone: true,
    });
  };
  const follower = (name: string): FollowerClient | null => {
    const instance = find(name);
    const { follower: url } = instance;
    return url === undefined
      ? null
      : new FollowerClient(spec, { ...instance, follower: url }, on.signal);
  };
  /** What pauses without one would have nobody who lets clients go. */
  const owner = (name: string): FollowerClient => {
    const found = follower(name);
    if (found !== null) return found;
    throw new PgdbaError(
      "step_refused",
      `${name} has no follower: nothing would let its clients go`,
      {
        hint: "Run `pgdba pgbouncer follow` beside it, and name its URL as `follower` in the cluster's file.",
        nothingDone: true,
      },
    );
  };
  const ask = async (name: string, command: string): Promise<Row[]> => {
    const { host, port } = find(name);
    const { user, password, sslmode, cafile: sslrootcert } = spec;
    const console = await Console.open({ host, port, user, password, sslmode, sslrootcert });
    const stop = () => console.close();
    on.signal.addEventListener("abort", stop, { once: true });
    try {
      return await console.ask(command);
    } finally {
      on.signal.removeEventListener("abort", stop);
      console.close();
    }
  };
  return {
    instances,
    async show(instance, what) {
      const word = what.toLowerCase();
      if ((SHOWS as readonly string[]).includes(word))
        return ask(instance, `SHOW ${word.toUpperCase()}`);
      throw new PgdbaError("invalid_param", `SHOW ${what} is not known`, {
        hint: `One of ${SHOWS.join(", ")}.`,
      });
    },
    async write(instance) {
      mayChange("write through PgBouncer");
      const { host, port } = find(instance);
      return writeThrough({ ...role, host, port }, on.signal);
    },
    async reload(instance) {
      mayChange("reload PgBouncer");
      await ask(instance, "RELOAD");
    },
    async pause(instance, pause) {
      mayChange("hold clients back");
      await owner(instance).pause(pause);
    },
    async resume(instance, holder) {
      mayChange("let clients go");
      await owner(instance).resume(holder);
    },
    follower: async (instance) => (await follower(instance)?.status()) ?? null,
  };
}
