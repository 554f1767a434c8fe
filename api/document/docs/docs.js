// Draws the OpenAPI document and makes its calls. Tokens stay in the fields above; nothing is stored anywhere.
'use strict';

const WORDS = {
  title: ['平安守望 · 接口', 'Ping\u2019an Shouwang · API'], language: ['English', '中文'], skip: ['跳到接口列表', 'Skip to the calls'],
  keys: ['令牌与密钥', 'Tokens and keys'], session: ['登录令牌（Bearer）', 'Session token (Bearer)'],
  keysHint: ['只留在本页内存中，刷新即失。试用“登录”成功后自动填入。', 'Kept in this page\u2019s memory only. A sign-in tried below fills it in.'],
  keyed: ['已填入登录令牌。', 'The session token was filled in.'], search: ['筛选：路径或名称', 'Filter by path or name'],
  loading: ['正在读取…', 'Loading…'], failed: ['读取失败：', 'Could not load: '], none: ['没有符合的接口。', 'No such call.'],
  needs: ['需要', 'Needs'], free: ['无需登录', 'No sign-in needed'], parameters: ['参数', 'Parameters'], body: ['请求内容', 'Body'],
  answers: ['答复', 'Answers'], events: ['事件', 'Events'], attempt: ['试用', 'Try it'], example: ['示例', 'Example'], send: ['发送', 'Send'], stop: ['停止', 'Stop'],
  sending: ['正在发送…', 'Sending…'], stopped: ['已停止', 'Stopped'], empty: ['（没有内容）', '(empty)'], bad: ['请求内容不是 JSON：', 'The body is not JSON: '],
  unreached: ['没有送达：', 'Not delivered: '], packed: ['在此写 JSON，发送时编码为 MessagePack。', 'Write JSON here; it is sent as MessagePack.'],
  missing: ['请填写：', 'Please fill in: '], headers: ['答复头', 'Headers'], or: ['或', 'or'], most: ['最多', 'at most'], least: ['至少', 'at least'],
};
const MOST_SHOWN = 200000;
const DEEPEST = 6;
const $ = (id) => document.getElementById(id);
let english = false;
let api = null;
let terms = '';

const t = (word) => WORDS[word][english ? 1 : 0];

/** An element; text is always text, never markup. */
function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, '');
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child != null));
  return element;
}

/** Text with `code` in it. */
const prose = (text) => text.split('`').map((part, place) => (place % 2 ? h('code', {}, part) : part));

const resolve = (part) => (part && part.$ref ? part.$ref.slice(2).split('/').reduce((at, key) => at[key], api) : part);
const named = (schema) => (schema.$ref || '').split('/').pop();

// -- shapes

function typeText(schema) {
  if (schema.$ref) {
    const target = resolve(schema);
    return target.enum ? typeText(target) : named(schema);
  }
  if (schema.enum) return schema.enum.map((choice) => JSON.stringify(choice)).join(' | ');
  if (schema.anyOf) return schema.anyOf.map(typeText).join(` ${t('or')} `);
  if (schema.prefixItems) return `[${schema.prefixItems.map(typeText).join(', ')}]`;
  if (schema.type === 'array') return `${typeText(schema.items || {})}[]`;
  return (schema.format || schema.type || '…') + limits(schema);
}

function limits(schema) {
  const said = [];
  const least = schema.minimum ?? schema.minLength, most = schema.maximum ?? schema.maxLength;
  if (least != null) said.push(`${t('least')} ${least}`);
  if (most != null) said.push(`${t('most')} ${most}`);
  if (schema.pattern) said.push(schema.pattern);
  return said.length ? ` (${said.join(', ')})` : '';
}

/** The objects within a schema, to be unfolded. */
function within(schema) {
  if (schema.$ref) return within(resolve(schema));
  if (schema.anyOf) return schema.anyOf.flatMap(within);
  if (schema.type === 'array' && schema.items) return within(schema.items);
  return schema.properties ? [schema] : [];
}

function shape(schema, depth = 0) {
  return within(schema).map((object) => h('ul', { class: 'shape' }, Object.entries(object.properties).map(([name, field]) => {
    const needed = (object.required || []).includes(name);
    const line = [h('code', {}, name), needed ? '' : '?', ' ', h('span', { class: 'type' }, typeText(field)), ' ', ...prose(field.description || '')];
    if (depth >= DEEPEST || !within(field).length) return h('li', {}, line);
    const details = h('details', { toggle: () => details.childElementCount === 1 && details.append(...shape(field, depth + 1)) }, h('summary', {}, line));
    return h('li', {}, details);
  })));
}

function told(schema) {
  return [h('div', { class: 'type' }, typeText(schema)), ...shape(schema)];
}

// -- one call

function call(method, path, operation) {
  const details = h('details', { class: 'call', id: operation.operationId },
    h('summary', {},
      h('span', { class: `method ${method}` }, method.toUpperCase()), h('span', { class: 'path' }, path),
      h('span', { class: 'said' }, english ? operation.description.split(/(?<=[.!?])\s/)[0].replaceAll('`', '') : operation.summary)));
  details.addEventListener('toggle', () => {
    if (details.open && details.childElementCount === 1) details.append(inside(method, path, operation));
  });
  return details;
}

function inside(method, path, operation) {
  const parameters = operation.parameters.map(resolve);
  const schemes = operation.security.flatMap(Object.keys);
  const content = operation.requestBody && Object.entries(operation.requestBody.content)[0];
  return h('div', {},
    h('p', {}, prose(operation.description)),
    h('p', { class: 'hint' }, schemes.length ? [`${t('needs')} `, ...schemes.map((name) => h('code', {}, headerOf(name)))] : t('free')),
    parameters.length ? [h('h3', {}, t('parameters')), h('ul', { class: 'shape' }, parameters.map((each) => h('li', {},
      h('code', {}, each.name), each.required ? '' : '?', ' ', h('span', { class: 'type' }, `${each.in} · ${typeText(each.schema)}`), ' ', ...prose(each.description || ''))))] : null,
    content ? [h('h3', {}, `${t('body')} · ${content[0]}`), ...(content[1].schema.description ? [h('p', { class: 'hint' }, prose(content[1].schema.description))] : []), ...told(content[1].schema)] : null,
    h('h3', {}, t('answers')), answers(operation.responses),
    h('h3', {}, t('attempt')), attempt(method, path, operation, parameters, schemes, content));
}

function headerOf(scheme) {
  const found = api.components.securitySchemes[scheme];
  return found.type === 'http' ? 'Authorization: Bearer' : found.name;
}

function answers(responses) {
  return h('ul', { class: 'answers' }, Object.entries(responses).map(([status, reference]) => {
    const answer = resolve(reference);
    const line = [h('span', { class: `status ${status < 400 ? 'good' : 'bad'}` }, status), ' ', answer.description];
    const shapes = Object.entries(answer.content || {}).map(([type, content]) => {
      if (type === 'application/problem+json') return h('ul', { class: 'shape' }, Object.values(content.examples).map(({ value }) => h('li', {}, h('code', {}, value.code), ' ', value.detail)));
      const events = Object.entries(content['x-events'] || {}).map(([name, schema]) => h('li', {}, h('code', {}, name), ...told(schema)));
      return h('div', {}, h('div', { class: 'type' }, type), events.length ? h('ul', { class: 'shape' }, events) : told(content.schema));
    });
    return h('li', {}, shapes.length ? h('details', { open: status < 300 }, h('summary', {}, line), shapes) : line);
  }));
}

// -- trying it

function attempt(method, path, operation, parameters, schemes, content) {
  const fields = parameters.map((each) => [each, field(each)]);
  const body = content && h('textarea', { rows: 8, spellcheck: 'false', 'aria-label': t('body') });
  const examples = content ? Object.entries(content[1].examples || {}) : [];
  const fill = (place) => {
    if (!body || !examples[place]) return;
    const { value } = examples[place][1];
    body.value = JSON.stringify('terms_version' in value ? { ...value, terms_version: terms } : value, null, 2);
  };
  fill(0);
  const choice = examples.length > 1 && h('label', {}, h('span', {}, t('example')),
    h('select', { change: (event) => fill(event.target.selectedIndex) }, examples.map(([name]) => h('option', {}, name))));
  const output = h('div', { role: 'status' });
  const send = h('button', { type: 'submit', class: 'main' }, t('send'));
  const stop = h('button', { type: 'button', hidden: true }, t('stop'));
  return h('form', {
    submit: async (event) => {
      event.preventDefault();
      const request = asked(method, path, fields, schemes, content && content[0], body && body.value, output);
      if (!request) return;
      const control = new AbortController();
      stop.onclick = () => control.abort();
      send.disabled = true;
      stop.hidden = false;
      await carryOut(request, control.signal, output, operation.operationId);
      send.disabled = false;
      stop.hidden = true;
    },
  }, h('div', { class: 'fields' }, fields.map(([, { label }]) => label), choice || null),
  content && content[0] !== 'application/json' ? h('p', { class: 'hint' }, t('packed')) : null, body || null,
  h('div', { class: 'actions' }, send, stop), output);
}

function field(parameter) {
  const schema = resolve(parameter.schema);
  const input = schema.enum
    ? h('select', {}, parameter.required ? null : h('option', { value: '' }, ''), schema.enum.map((choice) => h('option', {}, choice)))
    : h('input', { autocomplete: 'off', placeholder: schema.default ?? '' });
  const label = h('label', {}, h('span', {}, parameter.name, parameter.required ? h('b', {}, ' *') : null), input);
  return { input, label };
}

/** The request, or null with a word in `output` on what is missing. */
function asked(method, path, fields, schemes, type, text, output) {
  const headers = {}, query = new URLSearchParams();
  let url = path;
  for (const [{ name, in: place, required }, { input }] of fields) {
    if (required && !input.value) { output.replaceChildren(h('p', { class: 'bad' }, t('missing') + name)); input.focus(); return null; }
    if (place === 'path') url = url.replace(`{${name}}`, encodeURIComponent(input.value));
    else if (input.value && place === 'query') query.set(name, input.value);
    else if (input.value) headers[name] = input.value;
  }
  for (const scheme of schemes) {
    const key = $(`key-${scheme}`)?.value.trim();
    if (key && scheme === 'session') headers.Authorization = `Bearer ${key}`;
    else if (key) headers[api.components.securitySchemes[scheme].name] = key;
  }
  let body;
  if (type) {
    headers['Content-Type'] = type;
    try { body = type === 'application/json' ? text : new Uint8Array(pack(JSON.parse(text))); } catch (error) {
      output.replaceChildren(h('p', { class: 'bad' }, t('bad') + error.message));
      return null;
    }
  }
  return [url + (query.size ? `?${query}` : ''), { method: method.toUpperCase(), headers, body, cache: 'no-store', credentials: 'omit' }];
}

async function carryOut([url, options], signal, output, name) {
  const began = performance.now();
  output.replaceChildren(h('p', { class: 'hint' }, t('sending')));
  const shown = h('pre', { tabindex: 0 });
  try {
    const response = await fetch(url, { ...options, signal });
    const took = Math.round(performance.now() - began);
    const headers = [...response.headers].map(([key, value]) => `${key}: ${value}`).join('\n');
    output.replaceChildren(
      h('p', {}, h('span', { class: `status ${response.ok ? 'good' : 'bad'}` }, `${response.status} ${response.statusText}`), ` · ${took} ms · `, h('code', {}, url)),
      h('details', {}, h('summary', {}, t('headers')), h('pre', {}, headers)), shown);
    await show(response, shown, name);
  } catch (error) {
    output.append(h('p', { class: 'hint' }, error.name === 'AbortError' ? t('stopped') : t('unreached') + error.message));
  }
}

/** A stream as it comes, the newest end of it; anything else whole. */
async function show(response, shown, name) {
  const type = response.headers.get('Content-Type') || '';
  if (type.startsWith('text/event-stream')) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) shown.textContent = (shown.textContent + part.value).slice(-MOST_SHOWN);
    return;
  }
  let text = await response.text();
  if (type.includes('json')) {
    const value = JSON.parse(text);
    text = JSON.stringify(value, null, 2);
    if (name === 'post_sessions' && response.ok) { $('key-session').value = value.token; $('keyed').textContent = t('keyed'); }
  }
  shown.textContent = text.slice(0, MOST_SHOWN) || t('empty');
}

/** MessagePack, as far as JSON goes. */
function pack(value) {
  if (value === null) return [0xc0];
  if (typeof value === 'boolean') return [value ? 0xc3 : 0xc2];
  if (typeof value === 'string') { const bytes = [...new TextEncoder().encode(value)]; return [0xdb, ...wide(bytes.length, 4), ...bytes]; }
  if (Number.isInteger(value)) return value >= 0 && value < 128 ? [value] : [0xd3, ...wide(value, 8)];
  if (typeof value === 'number') { const view = new DataView(new ArrayBuffer(9)); view.setUint8(0, 0xcb); view.setFloat64(1, value); return [...new Uint8Array(view.buffer)]; }
  if (Array.isArray(value)) return [0xdd, ...wide(value.length, 4), ...value.flatMap(pack)];
  return [0xdf, ...wide(Object.keys(value).length, 4), ...Object.entries(value).flatMap(([key, each]) => [...pack(key), ...pack(each)])];
}

function wide(value, bytes) {
  const big = BigInt.asUintN(64, BigInt(value));
  return Array.from({ length: bytes }, (_, place) => Number((big >> BigInt(8 * (bytes - 1 - place))) & 255n));
}

// -- the page

function draw() {
  document.documentElement.lang = english ? 'en' : 'zh-CN';
  for (const each of document.querySelectorAll('[data-t]')) each.textContent = t(each.dataset.t);
  for (const each of document.querySelectorAll('[data-p]')) each.placeholder = t(each.dataset.p);
  document.title = t('title');
  if (!api) return;
  $('version').textContent = api.info.version;
  const paragraphs = api.info.description.split('\n\n');
  $('about').replaceChildren(...paragraphs.filter((each) => each.startsWith('*') === english).map((each) => h('p', {}, prose(each.replace(/^\*|\*$/g, '')))));
  const open = new Set([...document.querySelectorAll('details.call[open]')].map((each) => each.id));
  $('calls').replaceChildren(h('p', { id: 'state', role: 'status' }), ...api.tags.map(group));
  for (const id of open) if ($(id)) $(id).open = true;
  $('tags').replaceChildren(...api.tags.map(({ name, description }) => h('a', { href: `#tag-${name}` }, english ? description.split(':')[0] : name)));
  filter();
}

function group({ name, description }) {
  const calls = Object.entries(api.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => [method, path, operation]));
  return h('section', {}, h('h2', { id: `tag-${name}` }, english ? description : name),
    calls.filter(([, , operation]) => operation.tags.includes(name)).map((each) => call(...each)));
}

function filter() {
  const wanted = $('search').value.trim().toLowerCase();
  let found = 0;
  for (const section of document.querySelectorAll('#calls section')) {
    let here = 0;
    for (const each of section.querySelectorAll('details.call')) {
      each.hidden = !each.firstChild.textContent.toLowerCase().includes(wanted);
      here += !each.hidden;
    }
    section.hidden = !here;
    found += here;
  }
  $('state').textContent = found ? '' : t('none');
}

async function begin() {
  draw();
  $('language').addEventListener('click', () => { english = !english; draw(); });
  $('held').addEventListener('submit', (event) => event.preventDefault());
  $('search').addEventListener('input', filter);
  $('state').textContent = t('loading');
  try {
    const response = await fetch('/api/v1/openapi.json');
    if (!response.ok) throw new Error(response.status);
    api = await response.json();
    terms = (await (await fetch('/api/v1/terms')).json()).version;
    draw();
    const wanted = $(decodeURIComponent(location.hash.slice(1)));
    if (wanted) { wanted.open = true; wanted.scrollIntoView(); }
  } catch (error) { $('state').textContent = t('failed') + error.message; }
}

begin();
