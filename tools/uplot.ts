/**
 * uPlot as published on npm: its script, its style sheet and its licence, as text that a page can hold.
 *
 * @module
 */
export { default as uplotScript } from "npm:uplot@1.6.32/dist/uPlot.iife.min.js" with {
  type: "text",
};
export { default as uplotStyle } from "npm:uplot@1.6.32/dist/uPlot.min.css" with { type: "text" };
export { default as uplotLicence } from "npm:uplot@1.6.32/LICENSE" with { type: "text" };
