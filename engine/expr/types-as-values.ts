import { typeName, TypeValue, type Value } from "./values.ts";

const NAMES = [
  "bool",
  "bytes",
  "double",
  "int",
  "list",
  "map",
  "null_type",
  "string",
  "type",
  "uint",
];
const TIMESTAMP = new TypeValue("google.protobuf.Timestamp");
const DURATION = new TypeValue("google.protobuf.Duration");

/** The values of the names of types, where no variable has such a name. */
export const TYPES: Readonly<Record<string, unknown>> = {
  __proto__: null,
  ...Object.fromEntries(NAMES.map((name) => [name, new TypeValue(name)])),
  google: { protobuf: { Timestamp: TIMESTAMP, Duration: DURATION } },
};

/** The type of a value. */
export function typeOf(value: Value): TypeValue {
  const name = typeName(value);
  if (name === "timestamp") return TIMESTAMP;
  if (name === "duration") return DURATION;
  return TYPES[value === null ? "null_type" : name] as TypeValue;
}
