// A client made with ws, led by lines of JSON (scripts_test.go).
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import WebSocket from "ws";

let socket = null;
let received = []; // messages and, last, {closed}
let wanted = null; // who waits for the next of them

function arrived(from, answer) {
	if (from !== socket) return; // an earlier one
	if (wanted !== null) {
		wanted(answer);
		wanted = null;
	} else {
		received.push(answer);
	}
}

let messages = []; // for exchange

// options are those of ws for an offer; 0 bits are none, and -1 are any.
function options(offer) {
	return {
		serverNoContextTakeover: offer.server_no_context_takeover || undefined,
		clientNoContextTakeover: offer.client_no_context_takeover || undefined, // false would refuse an answer with it
		serverMaxWindowBits: offer.server_max_window_bits || undefined,
		clientMaxWindowBits: { 0: false, [-1]: true }[offer.client_max_window_bits] ?? offer.client_max_window_bits,
	};
}

// agreed is what ws makes of the answer; it shows its users no more than the name.
function agreed({ params } = {}) {
	return params && {
		server_no_context_takeover: params.server_no_context_takeover,
		client_no_context_takeover: params.client_no_context_takeover,
		server_max_window_bits: params.server_max_window_bits,
		client_max_window_bits: params.client_max_window_bits,
	};
}

const event = name => new Promise(resolve => socket.once(name, (...args) => resolve(args)));

const commands = {
	dial({ url, origin, subprotocols, compression }) {
		received = [];
		const perMessageDeflate = compression ? options(compression) : undefined;
		const s = socket = new WebSocket(url, subprotocols ?? [], { origin, perMessageDeflate, rejectUnauthorized: false });
		s.on("message", (data, binary) => arrived(s, binary ? { binary: data.toString("base64") } : { text: data.toString() }));
		s.on("close", (code, reason) => arrived(s, { closed: { code, reason: reason.toString() } }));
		return new Promise(resolve => {
			s.on("open", () => resolve({ subprotocol: s.protocol, agreed: agreed(s._extensions["permessage-deflate"]) }));
			s.on("unexpected-response", (request, response) => {
				resolve({ refused: response.statusCode });
				request.destroy();
			});
			s.on("error", err => resolve({ failed: err.message }));
		});
	},
	async send({ text, binary, fragmented }) {
		const data = text === undefined ? Buffer.from(binary ?? "", "base64") : Buffer.from(text);
		const size = fragmented ? 4093 : data.length;
		let sent = 0;
		do {
			const frame = data.subarray(sent, sent + size);
			sent += frame.length;
			const options = { binary: text === undefined, fin: sent === data.length };
			await new Promise((resolve, reject) => socket.send(frame, options, err => err ? reject(err) : resolve()));
		} while (sent < data.length);
		return {};
	},
	receive() {
		if (received.length > 0) return received.shift();
		return new Promise(resolve => { wanted = resolve; });
	},
	async ping({ payload }) {
		const pong = event("pong");
		socket.ping(payload);
		const [data] = await pong;
		return data.toString() === payload ? {} : { failed: `the pong says ${data}` };
	},
	async close({ code, reason }) {
		const end = event("close");
		socket.close(code, reason);
		const [answered, why] = await end;
		return { closed: { code: answered, reason: why.toString() } };
	},
	drop() {
		socket?.terminate();
		return {};
	},
	async load({ file }) {
		messages = JSON.parse(await readFile(file));
		return {};
	},
	async exchange({ count, ...to }) {
		const dialed = await commands.dial(to);
		if (dialed.agreed === undefined) return { failed: `no compression: ${JSON.stringify(dialed)}` };
		const some = messages.slice(0, count);
		for (const message of some) await commands.send(message);
		for (const [i, { text, binary }] of some.entries()) {
			const echo = await commands.receive();
			const same = text === undefined ? echo.binary === (binary ?? "") : echo.text === text;
			if (!same) return { failed: `message ${i} has come back as ${JSON.stringify(echo).slice(0, 200)}` };
		}
		const { closed } = await commands.close({ code: 1000 });
		return { agreed: dialed.agreed, closed };
	},
};

for await (const line of createInterface({ input: process.stdin })) {
	const command = JSON.parse(line);
	let answer;
	try {
		answer = await commands[command.do](command);
	} catch (err) {
		answer = { failed: err.message };
	}
	process.stdout.write(JSON.stringify(answer) + "\n");
}
