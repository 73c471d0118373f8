import { isMapping, type JsonObject } from "../../../engine/types.ts";
import { type Given } from "../../settings-file.ts";

/** `postgresql.parameters` of the dynamic configuration, by name in lower case. */
export function parametersOf(config: JsonObject): Map<string, Given> {
  return new Map(
    Object.entries(rawParameters(config)).map(([name, value]) => [
      name.toLowerCase(),
      value as Given,
    ]),
  );
}

export function rawParameters(config: JsonObject): JsonObject {
  const { parameters } = objectAt(config, "postgresql");
  return isMapping(parameters) ? parameters : {};
}

function objectAt(config: JsonObject, key: string): JsonObject {
  const value = config[key];
  return isMapping(value) ? value : {};
}
