"use strict";
"use client";
var __defProp = Object.defineProperty;
var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
var __getOwnPropNames = Object.getOwnPropertyNames;
var __hasOwnProp = Object.prototype.hasOwnProperty;
var __export = (target, all) => {
  for (var name in all)
    __defProp(target, name, { get: all[name], enumerable: true });
};
var __copyProps = (to, from, except, desc) => {
  if (from && typeof from === "object" || typeof from === "function") {
    for (let key of __getOwnPropNames(from))
      if (!__hasOwnProp.call(to, key) && key !== except)
        __defProp(to, key, { get: () => from[key], enumerable: !(desc = __getOwnPropDesc(from, key)) || desc.enumerable });
  }
  return to;
};
var __toCommonJS = (mod) => __copyProps(__defProp({}, "__esModule", { value: true }), mod);
var react_exports = {};
__export(react_exports, {
  useChat: () => useChat,
  useClient: () => useClient,
  useConnection: () => useConnection,
  useLatest: () => useLatest,
  usePresence: () => usePresence,
  useSubscription: () => useSubscription,
  useTyping: () => useTyping
});
module.exports = __toCommonJS(react_exports);
var import_react = require("react");
var import_listen = require("./listen.js");
var import_presence = require("./presence.js");
var import_shared = require("./shared.js");
function useClient(make) {
  const [client] = (0, import_react.useState)(make);
  (0, import_react.useEffect)(() => (0, import_listen.hold)(client), [client]);
  return client;
}
function useConnection(client) {
  const listen2 = useListener(client, "state");
  const state = (0, import_react.useSyncExternalStore)(listen2, () => client.state, () => client.state);
  const reason = (0, import_react.useSyncExternalStore)(listen2, () => client.reason, () => client.reason);
  return { state, reason };
}
function useSubscription(live, channel, options = {}) {
  const latest = (0, import_react.useRef)(options);
  (0, import_react.useEffect)(() => {
    latest.current = options;
  });
  const name = nameOf(channel, options);
  const [shown, setShown] = (0, import_react.useState)(
    /** @type {Shown} */
    name === null ? OFF : ASKED
  );
  (0, import_react.useEffect)(() => {
    if (name === null) {
      setShown(OFF);
      return void 0;
    }
    const stop = (0, import_listen.listen)(
      live,
      name,
      {
        update: (update) => latest.current.onUpdate?.(update),
        initial: (initial) => latest.current.onInitial?.(initial),
        deleted: (deleted) => latest.current.onDeleted?.(deleted),
        gap: (gap) => {
          latest.current.onGap?.(gap);
          setShown((before) => ({ ...before, recovered: false }));
        },
        recovered: (recovered) => {
          latest.current.onRecovered?.(recovered);
          setShown((before) => ({ ...before, recovered: true }));
        },
        state: () => setShown((before) => ({ ...before, ...stateOf(subscription) }))
      },
      latest.current.since ? { since: latest.current.since } : {}
    );
    const subscription = live.subscribe(name);
    setShown({ ...stateOf(subscription), recovered: void 0 });
    return stop;
  }, [live, name]);
  return shown;
}
function useLatest(live, channel, options = {}) {
  const name = nameOf(channel, options);
  const [known, setKnown] = (0, import_react.useState)(
    /** @type {{ name: string | null, data?: T }} */
    { name }
  );
  const show = ({ data }) => setKnown({ name, data });
  const { state, error } = useSubscription(live, channel, { ...options, onUpdate: show, onInitial: show });
  (0, import_react.useEffect)(() => {
    const last = name === null ? void 0 : live.subscribe(name).last;
    if (last) setKnown({ name, data: last.data });
  }, [live, name]);
  return { data: known.name === name ? known.data : void 0, state, error };
}
function usePresence(live, channel, options = {}) {
  const { presence, members, error } = useSharedPresence(live, nameOf(channel, options));
  const update = (0, import_react.useCallback)((data) => presence.current?.update(data), [presence, live, channel]);
  return { members: (
    /** @type {readonly PresenceMember<D, any>[]} */
    members
  ), update, error };
}
function useTyping(live, channel, options = {}) {
  const { presence, typing } = useSharedPresence(live, nameOf(channel, options));
  const setTyping = (0, import_react.useCallback)(
    (isTyping) => presence.current?.setTyping(isTyping),
    [presence]
  );
  return { typing, setTyping };
}
function useSharedPresence(live, name) {
  const presence = (0, import_react.useRef)(null);
  const [shown, setShown] = (0, import_react.useState)(NOBODY);
  (0, import_react.useEffect)(() => {
    if (name === null) return void 0;
    const leave = presences(live, name);
    const shared2 = (
      /** @type {Presence} */
      made.get(live)?.get(name)
    );
    presence.current = shared2;
    const show = (error) => setShown((before) => ({
      members: shared2.members,
      typing: shared2.typingUsers,
      error: error instanceof Error ? error : before.error
    }));
    setShown({ members: shared2.members, typing: shared2.typingUsers, error: void 0 });
    const stops = [shared2.on(
      "change",
      /** @type {any} */
      show
    ), shared2.on("refused", show), leave];
    return () => {
      for (const stop of stops) stop();
      presence.current = null;
      setShown(NOBODY);
    };
  }, [live, name]);
  return { presence, ...shown };
}
function useChat(chat, { limit = 500 } = {}) {
  const [messages, setMessages] = (0, import_react.useState)(
    /** @type {readonly ChatMessage[]} */
    chat.recentMessages.slice(-limit)
  );
  const [users, setUsers] = (0, import_react.useState)(
    /** @type {readonly User[]} */
    chat.users
  );
  const [typing, setTyping] = (0, import_react.useState)(
    /** @type {readonly User[]} */
    chat.typingUsers
  );
  (0, import_react.useEffect)(() => {
    const show = () => setMessages(chat.recentMessages.slice(-limit));
    show();
    setUsers(chat.users);
    setTyping(chat.typingUsers);
    const stops = [
      chat.on("room-history", show),
      chat.on("chat-message", show),
      chat.on("deleted", show),
      chat.on("users", setUsers),
      chat.on("typing-users", setTyping)
    ];
    return () => stops.forEach((stop) => stop());
  }, [chat, limit]);
  return { messages, users, typing };
}
function nameOf(channel, { enabled = true }) {
  return enabled ? channel ?? null : null;
}
const ASKED = { state: "subscribing", error: void 0, recovered: void 0 };
const OFF = { ...ASKED, state: "unsubscribed" };
const NOBODY = { members: [], typing: [], error: void 0 };
function stateOf({ state, error }) {
  return { state, error };
}
function useListener(client, type) {
  return (0, import_react.useCallback)(
    (listener) => client.on(type, listener),
    [client, type]
  );
}
const made = /* @__PURE__ */ new WeakMap();
const presences = (0, import_shared.shared)(
  (live, channel) => {
    const those = made.get(live) ?? /* @__PURE__ */ new Map();
    made.set(live, those);
    const presence = new import_presence.Presence(live, channel);
    those.set(channel, presence);
    leaves.set(presence, (0, import_listen.listen)(live, channel, {}));
  },
  (live, channel) => {
    const presence = (
      /** @type {Presence} */
      made.get(live)?.get(channel)
    );
    made.get(live)?.delete(channel);
    presence.close();
    leaves.get(presence)?.();
  }
);
const leaves = /* @__PURE__ */ new WeakMap();
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  useChat,
  useClient,
  useConnection,
  useLatest,
  usePresence,
  useSubscription,
  useTyping
});
