"use strict";
// What both pages use. Text reaches the document through textContent only, and the page's policy holds us to it.

/** The value in the data block of this id. */
function read(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

/** A new element with attributes and children; a child that is no element becomes text. */
function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for drawings. */
function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined).map(asNode));
  return element;
}

function asNode(child) {
  return child instanceof Node ? child : String(child);
}

const byId = (id) => document.getElementById(id);

/** The word for a verdict, as a sign that does not need its colour. */
function badge(outcome) {
  return h("span", { class: `badge ${outcome.toLowerCase()}` }, outcome);
}

/** An instant in seconds with milliseconds, rounded down like every clock. */
function instant(ns) {
  const ms = Math.floor(ns / 1e6);
  return `${Math.floor(ms / 1000)}.${String(ms % 1000).padStart(3, "0")}s`;
}

/** A span as people say it. */
function about(ns) {
  const seconds = ns / 1e9;
  if (seconds < 1) return `${Number((ns / 1e6).toPrecision(3))}ms`;
  if (seconds < 600) return `${Number(seconds.toFixed(seconds < 10 ? 1 : 0))}s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes}m` : `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, "0")}m`;
}
