/**
 * Label and field selectors, as `kubectl -l` and `--field-selector` write them:
 *
 *     app=web,tier!=db,zone in (a,b),zone notin (c),canary,!service.kubernetes.io/headless
 *     metadata.name=node-a,spec.clusterIP!=None
 *
 * @module
 */

import { type Json, type JsonObject, objectAt, valueAt } from "./json.ts";
import { badRequest } from "./status.ts";
import type { Resource } from "./resources.ts";

/** Whether an object is wanted. */
export type Matches = (object: JsonObject) => boolean;

/** What `labelSelector` and `fieldSelector` of a request say. Throws a 400 StatusError. */
export function parseSelectors(query: URLSearchParams, resource: Resource): Matches {
  const tests = [
    ...parseLabelSelector(query.get("labelSelector") ?? ""),
    ...parseFieldSelector(query.get("fieldSelector") ?? "", resource),
  ];
  return (object) => tests.every((test) => test(object));
}

const REQUIREMENT =
  /^(?:(?<absent>!\s*)?(?<key>[\w./-]+?)\s*(?:(?<set>\s+in|\s+notin)\s*\((?<values>[^()]*)\)|(?<op>==|=|!=|>|<)\s*(?<value>[\w.-]*))?)$/;
const LABEL_VALUE = /^([A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?)?$/;
const LABEL_KEY = /^([a-z0-9]([a-z0-9.-]*[a-z0-9])?\/)?[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?$/;

/** One test per requirement. Throws a 400 StatusError. */
export function parseLabelSelector(selector: string): Matches[] {
  return splitOutsideParentheses(selector).map((part) => {
    const groups = REQUIREMENT.exec(part.trim())?.groups;
    const key = groups?.["key"] ?? "";
    if (!groups || !LABEL_KEY.test(key) || (groups["absent"] && (groups["op"] || groups["set"]))) {
      throw badRequest(`unable to parse requirement: "${part}" of label selector "${selector}"`);
    }
    const test = labelTest(groups);
    return (object) => {
      const label = objectAt(object, "metadata.labels")[key];
      return test(typeof label === "string" ? label : undefined);
    };
  });
}

type LabelTest = (value: string | undefined) => boolean;

function labelTest(groups: { [name: string]: string | undefined }): LabelTest {
  if (groups["absent"] !== undefined) return (value) => value === undefined;
  if (groups["set"] !== undefined) {
    const values = new Set((groups["values"] ?? "").split(",").map((value) => value.trim()));
    for (const value of values) checkLabelValue(value);
    return groups["set"].trim() === "in"
      ? (value) => value !== undefined && values.has(value)
      : (value) => value === undefined || !values.has(value);
  }
  const wanted = groups["value"] ?? "";
  switch (groups["op"]) {
    case undefined:
      return (value) => value !== undefined;
    case "!=":
      checkLabelValue(wanted);
      return (value) => value !== wanted;
    case ">":
      return (value) => value !== undefined && Number(value) > Number(wanted);
    case "<":
      return (value) => value !== undefined && Number(value) < Number(wanted);
    default:
      checkLabelValue(wanted);
      return (value) => value === wanted;
  }
}

function checkLabelValue(value: string): void {
  if (!LABEL_VALUE.test(value)) throw badRequest(`"${value}" is not a valid label value`);
}

function splitOutsideParentheses(text: string): string[] {
  if (text.trim() === "") return [];
  return text.split(/,(?![^(]*\))/);
}

/** One test per requirement. Throws a 400 StatusError. */
export function parseFieldSelector(selector: string, resource: Resource): Matches[] {
  if (selector.trim() === "") return [];
  return selector.split(",").map((part) => {
    const found = /^\s*(?<field>[\w./]+?)\s*(?<op>==|=|!=)\s*(?<value>.*?)\s*$/.exec(part)?.groups;
    if (!found) throw badRequest(`invalid field selector "${selector}": cannot parse "${part}"`);
    const { field = "", op, value = "" } = found;
    const isKnown = field === "metadata.name" || resource.selectableFields.includes(field) ||
      (field === "metadata.namespace" && resource.isNamespaced);
    if (!isKnown) throw badRequest(`field label not supported: ${field}`);
    return (object) => (fieldText(valueAt(object, field)) === value) === (op !== "!=");
  });
}

function fieldText(value: Json | undefined): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}
