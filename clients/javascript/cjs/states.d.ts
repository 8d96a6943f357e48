/**
 * The states of a client, and the reasons for them.
 *
 * @module
 */
/**
 * The states of a connection.
 */
export declare const State: Readonly<{
    /** An attempt is under way: the address is being asked for, or the handshake runs. */
    Connecting: "connecting";
    /** The connection is open; `send` works. */
    Connected: "connected";
    /** The connection is lost, and the client will come back by itself. */
    Disconnected: "disconnected";
    /**
     * The connection is lost, and the platform is the reason: it has no network, or put the page
     * to sleep. The client comes back as soon as the platform does; meanwhile attempts are not
     * counted.
     */
    Suspended: "suspended";
    /** No connection, and none wanted: before the first `connect()` and after `close()`. */
    Closed: "closed";
    /** The client gave up. Only `connect()` starts it again. */
    Failed: "failed";
}>;
export type State = (typeof State)[keyof typeof State];
/** @typedef {(typeof State)[keyof typeof State]} State */
/**
 * The reasons for a state. The comment names the state that each leads to.
 */
export declare const Reason: Readonly<{
    /** Closed: `connect()` was never called. */
    New: "new";
    /** Connecting: the application called `connect()`. */
    Connect: "connect";
    /** Connecting: the wait after a lost connection is over. */
    Retry: "retry";
    /** Connecting: the platform reports that the network is back. */
    Online: "online";
    /** Connecting: the page is shown again, or the machine woke from sleep. */
    Awake: "awake";
    /** Connected: the handshake succeeded. */
    Opened: "opened";
    /** Closed: the application called `close()`. */
    CloseCalled: "close-called";
    /** Disconnected: the connection could not be opened. */
    ConnectFailed: "connect-failed";
    /** Disconnected or failed: the server refuses the handshake; the `error` says why. */
    Refused: "refused";
    /** Disconnected: the connection did not open in time. */
    ConnectTimeout: "connect-timeout";
    /** Disconnected: the function that gives the address failed. */
    NoAddress: "no-address";
    /** Disconnected: the connection broke, or closed with a code without special meaning. */
    ConnectionLost: "connection-lost";
    /** Disconnected: the connection is open but nothing was heard on it any more. */
    NoAnswer: "no-answer";
    /** Disconnected: the server refused the token, or ended the connection of an expired one (1008, 3000, 3003), and the token function is asked. */
    TokenRefused: "token-refused";
    /** Suspended: the platform reports that the network is gone. */
    Offline: "offline";
    /** Suspended: the page went to the back-forward cache. */
    Asleep: "asleep";
    /** Disconnected: the server ended this connection in the normal way (1000). */
    ServerClosed: "server-closed";
    /** Disconnected: the server is going away (1001). */
    GoingAway: "going-away";
    /** Disconnected: the server could not accept something this client sent (1002, 1003, 1007, 1009). */
    MessageRefused: "message-refused";
    /** Disconnected: the server failed while serving this connection (1011). */
    ServerError: "server-error";
    /** Disconnected: the server restarts (1012). */
    ServerRestart: "server-restart";
    /** Disconnected: the server is overloaded (1013). */
    TryLater: "try-later";
    /** Failed: the server refuses this client (1008, 3000, 3003), or there is no token: log in again. */
    Unauthorized: "unauthorized";
    /** Failed: `maxReconnectAttempts` attempts in a row failed. */
    AttemptsExhausted: "attempts-exhausted";
    /** Failed: the address or the subprotocols are not usable. */
    Misconfigured: "misconfigured";
}>;
export type Reason = (typeof Reason)[keyof typeof Reason];
/** @typedef {(typeof Reason)[keyof typeof Reason]} Reason */
