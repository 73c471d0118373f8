import { PgdbaError } from "../../engine/errors.ts";
import { suggest } from "../../engine/shared/suggest.ts";
import type { Place } from "./source.ts";

/** A member of a cluster, with the places where its PostgreSQL is reached: from here, and by the other members. */
export interface NamedMember {
  name: string;
  places: readonly Place[];
}

/** `db1`, `db1:5433`, `[::1]:5433` or `::1` as host and port; undefined for anything else. */
export function placeIn(text: string): { host: string; port: number | null } | undefined {
  const [, bracketed, plain, digits] =
    /^(?:\[([^\]]+)\]|([^:[\]\s]+|[0-9a-f]*:[0-9a-f:.]*:[0-9a-f:.]*))(?::(\d{1,5}))?$/i.exec(
      text,
    ) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) return undefined;
  const port = digits === undefined ? null : Number(digits);
  return port !== null && (port < 1 || port > 65_535) ? undefined : { host, port };
}

/** `host:port`, by which `placeIn` finds it again. */
function placeText({ host, port }: Place): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** The members that a text means: by name, else by host and port, else by host alone. */
export function membersMeant<M extends NamedMember>(members: readonly M[], text: string): M[] {
  const named = members.filter(({ name }) => name === text);
  if (named.length > 0) return named;
  const place = placeIn(text);
  if (place === undefined) return [];
  const host = place.host.toLowerCase();
  return members.filter(({ places }) =>
    places.some(
      (at) => at.host.toLowerCase() === host && (place.port === null || at.port === place.port),
    ),
  );
}

/** The member that a text means: its name, its host, or host:port. @throws PgdbaError invalid_param with those that there are */
export function memberMeant<M extends NamedMember>(
  cluster: string,
  members: readonly M[],
  text: string,
): M {
  const [first, ...more] = membersMeant(members, text);
  if (first !== undefined && more.length === 0) return first;
  const known = members.map(({ name }) => name);
  if (first !== undefined) {
    const both = [first, ...more].map(({ name, places: [at] }) =>
      at === undefined ? name : `${name} (${placeText(at)})`,
    );
    throw new PgdbaError("invalid_param", `${text} may be ${both.join(" or ")} of ${cluster}`, {
      hint: "Give the member's name, or its host with its port.",
    });
  }
  const near = suggest(text, known);
  throw new PgdbaError("invalid_param", `${cluster} has no member ${text}`, {
    hint:
      known.length === 0
        ? "Name its servers in the cluster's file, or Patroni's REST API."
        : `Its members are ${known.join(", ")}${near === undefined ? "" : `; did you mean ${near}?`}`,
  });
}
