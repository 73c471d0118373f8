import type { JsonObject } from "../../../engine/types.ts";

const PREFIXES: Record<string, string> = {
  Sorted: "Group",
  Hashed: "Hash",
  Mixed: "Mixed ",
};

/** A node as EXPLAIN's text format writes it, from the keys of its JSON. */
export function titleOf(raw: JsonObject): string {
  const of = (key: string) => (typeof raw[key] === "string" ? raw[key] : "");
  const type = of("Node Type");
  let name = type;
  if (type === "Aggregate") name = `${PREFIXES[of("Strategy")] ?? ""}Aggregate`;
  else if (type === "SetOp")
    name = `${of("Strategy") === "Hashed" ? "Hash" : ""}SetOp ${of("Command")}`;
  else if (type === "ModifyTable") name = of("Operation");
  else if (type === "Foreign Scan" && !["", "Select"].includes(of("Operation")))
    name = `Foreign ${of("Operation")}`;
  if (type === "Nested Loop" || type === "Hash Join" || type === "Merge Join")
    name = join(type, of("Join Type"));
  if (of("Partial Mode") === "Partial") name = `Partial ${name}`;
  if (of("Partial Mode") === "Finalize") name = `Finalize ${name}`;
  if (raw["Parallel Aware"] === true) name = `Parallel ${name}`;
  if (of("Scan Direction") === "Backward") name += " Backward";
  if (of("Index Name") !== "")
    name += type === "Bitmap Index Scan" ? ` on ${of("Index Name")}` : ` using ${of("Index Name")}`;
  const what =
    of("Relation Name") ||
    of("CTE Name") ||
    of("Function Name") ||
    of("Tuplestore Name") ||
    of("Table Function Name");
  const alias = of("Alias");
  if (what !== "") name += ` on ${what}${alias !== "" && alias !== what ? ` ${alias}` : ""}`;
  else if (alias !== "") name += ` on ${alias}`;
  return name.trim();
}

function join(type: string, kind: string): string {
  if (kind === "" || kind === "Inner") return type;
  return type === "Nested Loop"
    ? `${type} ${kind} Join`
    : `${type.replace(" Join", "")} ${kind} Join`;
}
