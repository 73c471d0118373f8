import { readIfThere } from "../../../engine/shared/read-file.ts";
import { writeWhole } from "../../../engine/shared/write-file.ts";
import type { FollowConfig } from "./config.ts";

/** The member that PgBouncer sends clients to. */
export interface Route {
  member: string;
  host: string;
  port: number;
  /** Null where it did not say. */
  timeline: number | null;
}

/** Leads to no server: databases that PgBouncer does not know would be refused, and their clients are to wait. */
export const NOWHERE: Route = { member: "", host: "127.0.0.1", port: 1, timeline: null };

const MAX_BYTES = 64 * 1024;
/** The first line, by which a follower that starts again knows where clients are sent. */
const MARK = "; route ";

/** PgBouncer reads it by `%include`; there is no secret in it. */
export async function writeRoute({ file, databases }: FollowConfig["route"], route: Route) {
  const lines = Object.entries(databases).map(([name, settings]) => {
    const all = { ...settings, host: route.host, port: route.port };
    const words = Object.entries(all).map(([key, value]) => `${key}=${value}`);
    return `${name === "*" ? name : `"${name.replaceAll('"', '""')}"`} = ${words.join(" ")}\n`;
  });
  const text = `${MARK}${JSON.stringify(route)}\n; Written by pgdba pgbouncer follow, which alone may do so.\n[databases]\n${lines.join("")}`;
  await writeWhole(file, text, { mode: 0o644 });
}

/** The route that the file says; undefined where there is none, or somebody else wrote it. */
export function readRoute(file: string): Route | undefined {
  const text = readIfThere(file, { maxBytes: MAX_BYTES })?.toString("utf8") ?? "";
  if (!text.startsWith(MARK)) return undefined;
  try {
    const route = JSON.parse(text.slice(MARK.length, text.indexOf("\n"))) as Partial<Route>;
    const { member, host, port, timeline = null } = route;
    if (
      typeof member !== "string" ||
      member === "" ||
      typeof host !== "string" ||
      typeof port !== "number"
    )
      return undefined;
    return { member, host, port, timeline };
  } catch {
    return undefined;
  }
}
