"use strict";
// Asks the model with what stands in the form. What is right is the server's to say: a value that is no number is sent
// as the text that it is, and the server's message is shown at its field. Everything is set as text, never as HTML.

const byId = (id) => document.getElementById(id);
const form = byId("row");
const url = new URL(form.dataset.path, location.href);
const fields = [...form.querySelectorAll("[data-place]")];
const rows = byId("rows");
// A number as JSON writes it. Sent as it was typed: a script's own numbers lose digits of 64-bit integers.
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

// A field's value as JSON.
function written(field) {
  const text = field.value.trim();
  switch (field.dataset.kind) {
    case "text": return JSON.stringify(field.value);
    case "boolean": return text;
    case "json": return isJson(text) ? text : JSON.stringify(text);
    default: return text === "" ? "null" : NUMBER.test(text) ? text : JSON.stringify(text);
  }
}

function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function row() {
  const values = fields.map(written);
  switch (form.dataset.row) {
    case "list": return `[${values.join(", ")}]`;
    case "value": return values[0];
    default: return `{${fields.map((field, index) => `${JSON.stringify(field.name)}: ${values[index]}`).join(", ")}}`;
  }
}

// What was pasted as a request: its body and content type.
function pasted() {
  const text = rows.value.trim();
  if (text.startsWith("{")) return [text, "application/json"];
  if (text.startsWith("[")) return [`{"instances": ${text}}`, "application/json"];
  return [`${text}\n`, "text/csv"];
}

// For a POSIX shell: between single quotes everything is itself but a single quote.
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function curl(body, type) {
  // Of --data-raw no part is a file's name, as what begins with @ is for -d.
  const data = type === "text/csv" ? "-H 'content-type: text/csv' --data-raw" : "-d";
  return `curl ${quoted(url.href)} ${data} ${quoted(body)}`;
}

function show(id, text) {
  byId(id).textContent = text;
  byId(id).hidden = text === "";
}

function say(text, failed) {
  byId("status").textContent = text;
  byId("status").classList.toggle("failed", failed);
}

function mark(field, problem) {
  const place = byId(`${field.id}-problem`);
  place.textContent = problem;
  place.hidden = problem === "";
  field.setAttribute("aria-invalid", String(problem !== ""));
}

// The field whose value the server complains about: the one whose place its message begins with.
function culprit(message) {
  const named = fields.filter((field) => message.startsWith(field.dataset.place));
  return named.sort((a, b) => b.dataset.place.length - a.dataset.place.length)[0];
}

// The answer is shown as the server wrote it: a script's numbers would lose digits.
async function ask(body, type, fallback) {
  [...fields, rows].forEach((field) => mark(field, ""));
  show("answer", "");
  show("curl", curl(body, type));
  byId("line").hidden = false;
  say("Asking …", false);
  const start = performance.now();
  let response, text;
  try {
    response = await fetch(url, { method: "POST", body, headers: { "content-type": type } });
    text = await response.text();
  } catch (error) {
    say(`The server cannot be reached: ${error.message}`, true);
    return;
  }
  const took = `${(performance.now() - start).toFixed(1)} ms`;
  if (response.ok) {
    say(`Answered in ${took}.`, false);
    show("answer", text);
    return;
  }
  const message = problemOf(text);
  const field = fallback ?? culprit(message);
  say(field ? `Refused (${response.status}) in ${took}; see the field.` : `${response.status}: ${message}`, true);
  if (field) {
    mark(field, message);
    field.focus();
  }
}

// A proxy in between answers with whatever it likes.
function problemOf(text) {
  try {
    return String(JSON.parse(text).error ?? text);
  } catch {
    return text;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask(`{"instances": [${row()}]}`, "application/json");
});
byId("paste").addEventListener("submit", (event) => {
  event.preventDefault();
  ask(...pasted(), rows);
});
if (form.dataset.row === "none") {
  form.querySelector("button").hidden = true;
  document.querySelector("details").open = true;
}
