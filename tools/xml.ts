/**
 * `@rgrove/parse-xml` as published on npm.
 *
 * @module
 */
export { parseXml, XmlElement, XmlError } from "npm:@rgrove/parse-xml@5.0.0";
