// Drives @apideck/unify or @apideck/node, as argv[2] says, from the folder
// argv[3] on the api argv[4]: a line of JSON in, {key, app, url, op, args}; a line
// of JSON out, {value} or {error}. What the SDK understood goes out under the names of the wire.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [which, folder, usual] = process.argv.slice(2);
const require = createRequire(`${folder}/`);

const rename = (value, name) => {
	if (Array.isArray(value)) return value.map((v) => rename(v, name));
	if (value === null || typeof value !== "object" || value instanceof Date) return value;
	return Object.fromEntries(Object.entries(value).map(([k, v]) => [name(k), rename(v, name)]));
};
const snake = (k) => k.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);
const camel = (k) => k.replace(/_([a-z])/g, (_, c) => c.toUpperCase());
const dates = (filter) => {
	for (const k of ["startDate", "endDate"]) if (filter?.[k]) filter[k] = new Date(filter[k]);
	return filter;
};

function unify(apiKey, appId, url) {
	const { Apideck } = require("@apideck/unify");
	const sdk = new Apideck({ serverURL: url, apiKey, appId, retryConfig: { strategy: "none" } });
	const { webhooks, eventLogs } = sdk.webhook;
	const to = (v) => rename(v, camel);
	const list = ({ filter, ...rest }) => ({ ...rest, ...(filter && { filter: dates(to(filter)) }) });
	const first = async (pages, part) => (await pages)[part];
	const every = async (pages, part) => {
		const data = [];
		for await (const page of await pages) data.push(...page[part].data);
		return { data };
	};
	return {
		list: (a) => first(webhooks.list(list(a)), "getWebhooksResponse"),
		every: (a) => every(webhooks.list(list(a)), "getWebhooksResponse"),
		create: async (a) =>
			(await webhooks.create({ createWebhookRequest: to(a.body) })).createWebhookResponse,
		get: async (a) => (await webhooks.get({ id: a.id })).getWebhookResponse,
		update: async (a) =>
			(await webhooks.update({ id: a.id, updateWebhookRequest: to(a.body) })).updateWebhookResponse,
		delete: async (a) => (await webhooks.delete({ id: a.id })).deleteWebhookResponse,
		logs: (a) => first(eventLogs.list(list(a)), "getWebhookEventLogsResponse"),
		every_log: (a) => every(eventLogs.list(list(a)), "getWebhookEventLogsResponse"),
	};
}

function node(apiKey, appId, url) {
	const { Apideck } = require("@apideck/node");
	const { webhook } = new Apideck({ basePath: url, apiKey, appId });
	// This SDK has no iterator: its users follow the cursors.
	const every = async (page, a) => {
		const data = [];
		for (let cursor = a.cursor; ; ) {
			const one = await page({ ...a, cursor });
			data.push(...one.data);
			cursor = one.meta.cursors.next;
			if (!cursor) return { data };
		}
	};
	const list = (a) => webhook.webhooksAll(a);
	const logs = (a) => webhook.eventLogsAll(a);
	return {
		list,
		logs,
		every: (a) => every(list, a),
		every_log: (a) => every(logs, a),
		create: (a) => webhook.webhooksAdd({ webhook: a.body }),
		get: (a) => webhook.webhooksOne(a),
		update: (a) => webhook.webhooksUpdate({ id: a.id, webhook: a.body }),
		delete: (a) => webhook.webhooksDelete(a),
	};
}

async function explain(e) {
	if (typeof e?.json === "function") // node throws the response itself
		return { class: "Response", status: e.status, retry_after: e.headers.get("retry-after"), ...(await e.json()) };
	return {
		class: e?.constructor?.name,
		text: String(e),
		status: e?.httpMeta?.response?.status ?? e?.statusCode,
		retry_after: (e?.httpMeta?.response ?? e)?.headers?.get("retry-after"),
		...rename(e?.data$ ?? {}, snake),
	};
}

const make = which === "unify" ? unify : node;
for await (const line of createInterface({ input: process.stdin })) {
	const { key, app, url = usual, op, args } = JSON.parse(line);
	let answer;
	try {
		answer = { value: rename(await make(key, app, url)[op](args ?? {}), which === "unify" ? snake : (k) => k) };
	} catch (e) {
		answer = { error: await explain(e) };
	}
	console.log(JSON.stringify(answer));
}
