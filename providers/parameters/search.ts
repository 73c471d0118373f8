import { PgdbaError } from "../../engine/errors.ts";
import { sqlstateOf } from "../postgres/errors.ts";
import { sameConstants } from "./merge.ts";
import { inOrigin, offsetOf, positionOf, rewrite, type Rewritten, unchanged } from "./rewrite.ts";
import { Sites } from "./sites.ts";

/** A statement as a server takes it. */
export interface Typed {
  text: string;
  /** The numbers that its parameters `$1`, `$2`, … have in what it was made from; null where they are the same. */
  order: readonly number[] | null;
  /** Types that were tried out for parameters, by their number there. */
  assumed: ReadonlyMap<number, string>;
}

/**
 * Types to try, the likeliest first: a constant that a server can't tell the type of from where it stands was a number most often,
 * since what stands in quotes has none anyway.
 */
const TYPES = [
  "integer",
  "numeric",
  "interval",
  "text",
  "timestamptz",
  "date",
  "boolean",
  "double precision",
  "bigint",
  "jsonb",
  "integer[]",
  "text[]",
];
/** Types whose names are words of the grammar can't be anybody else's. */
const IS_WORD = /^(integer|numeric|interval|boolean|double precision|bigint)/;

/** Times that a statement is given to the server with types. */
const MOST_TRIES = 48;

/** No type is known, or one for which there is no function, operator or conversion. */
const BY_TYPES = new Set(["42P18", "42P08", "42883", "42725", "42804", "42846", "42809"]);
/** Expressions that should be the same are not. */
const BY_SAMENESS = new Set(["42803", "42P10"]);
/** Errors for which a statement can't be planned by itself; any other one is trouble of the server or the session. */
const OF_STATEMENT = /^(42|22|0A|54)/;

/** True when the server's error may be due to constants that it does not see. */
export function isByParameters(error: unknown): error is PgdbaError {
  const state = sqlstateOf(error) ?? "";
  // A literal that is none of a type has a place; what only happens while something is computed has none.
  const isLiteral = state.startsWith("22") && positionOf(error) !== null;
  return BY_TYPES.has(state) || BY_SAMENESS.has(state) || isLiteral;
}

export async function sitesOf(text: string): Promise<Sites | null> {
  const tree = await treeOf(text);
  return tree === null ? null : new Sites(tree);
}

async function treeOf(text: string): Promise<unknown> {
  const { loadModule, parseSync } = await import("libpg-query");
  await loadModule();
  try {
    const { stmts = [] } = parseSync(text) as { stmts?: { stmt?: unknown }[] };
    return stmts.length === 1 ? stmts[0]?.stmt : null;
  } catch {
    return null;
  }
}

/** A text and where its parameters stand; `order` as in `Typed`. */
interface Base {
  base: Rewritten;
  sites: Sites;
  order: readonly number[] | null;
}

type Types = ReadonlyMap<number, string>;

interface Found<T> {
  value: T;
  typed: Typed;
}

/** Looks for types with which a server takes a statement. */
export class Search<T> {
  /** The server's error when most of the earlier ones were settled, and the parameters that it is about. */
  furthest: PgdbaError;
  suspects: readonly number[] = [];
  readonly #sql: string;
  readonly #attempt: (typed: Typed) => Promise<T>;
  #depth = -1;
  #tries = 0;

  constructor(sql: string, attempt: (typed: Typed) => Promise<T>, first: PgdbaError) {
    this.#sql = sql;
    this.#attempt = attempt;
    this.furthest = first;
  }

  /**
   * @param fault what the server said of it with these types
   * @throws PgdbaError what the server has against it that is not about types
   */
  async solve(on: Base, types: Types, fault: PgdbaError, depth = 0): Promise<Found<T> | null> {
    if (!isByParameters(fault)) {
      if (sqlstateOf(fault)?.startsWith("22") === true) return null;
      throw inOrigin(fault, on.base, this.#sql);
    }
    const isSameness = BY_SAMENESS.has(sqlstateOf(fault) ?? "");
    const suspects = isSameness ? [] : suspected(on, types, fault);
    if (depth > this.#depth) {
      this.#depth = depth;
      this.furthest = inOrigin(fault, on.base, this.#sql) as PgdbaError;
      const anyOf = isSameness || positionOf(fault) !== null ? [] : [...on.sites.params.keys()];
      this.suspects = (suspects[0] ?? anyOf).map((param) => on.order?.[param - 1] ?? param);
    }
    if (isSameness) return this.#merge(on, types, depth);
    // Columns may be made of parameters in ways that are not seen through.
    const groups = suspects.length > 0 ? suspects : opened(on.sites.anywhere(), types);
    const isUntyped = sqlstateOf(fault) === "42P18";
    const candidates = isUntyped ? ["text", ...TYPES] : TYPES;
    // The node at that place is refused in another way: that may be half of the way, or the wrong one.
    const other: { next: Types; tried: PgdbaError }[] = [];
    for (const type of candidates)
      for (const group of groups) {
        const next = new Map([...types, ...group.map((param) => [param, type] as const)]);
        const tried = await this.#try(on, next);
        if (tried === null || "value" in tried) return tried;
        if (isSame(tried, fault) || isRefused(on, next, tried)) continue;
        if (positionOf(fault) !== null && positionOf(tried) === positionOf(fault)) {
          other.push({ next, tried });
          continue;
        }
        const found = await this.solve(on, next, tried, depth + 1);
        if (found !== null) return found;
      }
    for (const { next, tried } of other) {
      const found = await this.solve(on, next, tried, depth);
      if (found !== null) return found;
    }
    return null;
  }

  /** The server's answer to the statement with these types; null when there were enough tries. */
  async #try(on: Base, types: Types): Promise<Found<T> | PgdbaError | null> {
    if (this.#tries >= MOST_TRIES + on.sites.params.size) return null;
    this.#tries++;
    const cast = withCasts(on, types);
    const numbered = [...types].map(
      ([param, type]) => [on.order?.[param - 1] ?? param, type] as const,
    );
    const typed: Typed = { text: cast.text, order: on.order, assumed: new Map(numbered) };
    try {
      return { value: await this.#attempt(typed), typed };
    } catch (error) {
      const uncast = inOrigin(error, cast, on.base.text);
      if (uncast instanceof PgdbaError && OF_STATEMENT.test(sqlstateOf(uncast) ?? ""))
        return uncast;
      throw inOrigin(uncast, on.base, this.#sql);
    }
  }

  /** The same constant in two places is one parameter again. */
  async #merge(on: Base, types: Types, depth: number): Promise<Found<T> | null> {
    const same = sameConstants(await treeOf(on.base.text));
    if (same.size === 0) return null;
    const kept = [...on.sites.params.keys()]
      .toSorted((a, b) => a - b)
      .filter((param) => !same.has(param));
    const numberOf = (param: number): number => kept.indexOf(param) + 1;
    const edits = placesOf(on).map(({ param, from, to }) => {
      const other = same.get(param) ?? param;
      return { from, to, text: typeof other === "string" ? other : `$${numberOf(other)}` };
    });
    const base = rewrite(on.base, edits);
    const sites = await sitesOf(base.text);
    if (sites === null) return null;
    const merged: Base = {
      base,
      sites,
      order: kept.map((param) => on.order?.[param - 1] ?? param),
    };
    const left = new Map(
      [...types].flatMap(([param, type]) =>
        same.has(param) ? [] : [[numberOf(param), type] as const],
      ),
    );
    const tried = await this.#try(merged, left);
    if (tried === null || "value" in tried) return tried;
    return BY_SAMENESS.has(sqlstateOf(tried) ?? "")
      ? null
      : this.solve(merged, left, tried, depth + 1);
  }
}

/** Parameters without a type that a fault may be about, in groups. */
function suspected({ base, sites }: Base, types: Types, fault: PgdbaError): number[][] {
  const position = positionOf(fault);
  // The server names the parameter without a type in its message alone, as $1 in every language.
  const isUntyped = position === null && sqlstateOf(fault) === "42P18";
  const named = isUntyped ? Number(/\$(\d+)/.exec(fault.message)?.[1] ?? 0) : 0;
  if (named > 0) return opened([[named]], types);
  return position === null ? [] : opened(sites.at(byteOf(base.text, position)), types);
}

/** Groups without what has a type by now. */
function opened(groups: readonly number[][], types: Types): number[][] {
  const open = groups
    .map((group) => group.filter((param) => !types.has(param)))
    .filter(({ length }) => length > 0);
  return [...new Map(open.map((group) => [group.join(), group])).values()];
}

/** An operator whose operands were all chosen refuses them. */
function isRefused({ base, sites }: Base, types: Types, fault: PgdbaError): boolean {
  const position = positionOf(fault);
  if (position === null) return false;
  const operands = sites.operandsAt(byteOf(base.text, position));
  return operands.length > 0 && operands.every((param) => types.has(param));
}

function isSame(one: PgdbaError, other: PgdbaError): boolean {
  return (
    sqlstateOf(one) === sqlstateOf(other) &&
    positionOf(one) === positionOf(other) &&
    (positionOf(one) !== null || one.message === other.message)
  );
}

function byteOf(text: string, position: number): number {
  return Buffer.byteLength(text.slice(0, offsetOf(text, position)));
}

/** The parameters of a text, each where it stands. */
function placesOf({ base, sites }: Base): { param: number; from: number; to: number }[] {
  const bytes = Buffer.from(base.text);
  return [...sites.params].flatMap(([param, places]) =>
    places.map((byte) => {
      const from = bytes.subarray(0, byte).toString().length;
      return { param, from, to: from + `$${param}`.length };
    }),
  );
}

/** The text of a base with a type for some parameters, as a text of its own. */
function withCasts(on: Base, types: Types): Rewritten {
  const edits = placesOf(on).flatMap(({ param, from, to }) => {
    const type = types.get(param);
    if (type === undefined) return [];
    const name = IS_WORD.test(type) ? type : `pg_catalog.${type}`;
    return [{ from, to, text: `CAST($${param} AS ${name})` }];
  });
  return rewrite(unchanged(on.base.text), edits);
}
