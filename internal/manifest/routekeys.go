package manifest

import "time"

// routeKeys are the keys of a service's routes, and of what is sent to a candidate.
func routeKeys() []Key {
	path := func(accepts string) kind {
		return text(codePath, accepts, map[string]any{"pattern": "^/"}, checkRoute)
	}
	host := func() kind {
		return text(codeHost, "a host name such as shop.localhost", map[string]any{"pattern": `^[a-z0-9.-]+$`}, CheckHost)
	}
	return []Key{
		{
			Name: "routes", Places: inService | inOverride, kind: pathsKind(), Default: "`route` alone",
			Example: "routes:\n  - { path: /reports, methods: GET, timeout: 2m }\n  - { path: /old, redirect: { prefix: /new, status: 308 } }",
			Doc:     "Further ways by which requests of the service's host reach it, and what becomes of them there. Which of several takes a request is decided as by the Gateway API's HTTPRoute: an exact path, then the longest prefix, then a method, then the most headers, then the most parameters of the query. With routes the service has no other path unless route says so.",
		},
		{
			Name: "match", Places: everywhere, kind: matchKind(), Default: "every request is drawn by weight",
			Example: "match:\n  - { header: 'x-beta: 1', apart: true }\n  - { cookie: user, share: 20% }",
			Doc:     "Requests that go to the new version whatever its weight, while a rollout gives it some and the old one some. The first rule that a request meets decides. They are none of the observed share (R15), and are judged as all others unless the rule says apart.",
		},
		{
			Name: "maintenance", Places: everywhere, kind: maintenanceKind(), Default: "`false`", Example: "maintenance: { retryAfter: 10m, page: '<h1>Back at nine</h1>' }",
			Doc: "Answers every request of the service from outside and from its fellows with 503 and a page, in its place. It takes effect with the push, without a rollout, and its versions run on; previews reach them.",
		},

		{Name: "path", Places: inRoute, kind: path("a path: /orders"), Example: "path: /orders", Doc: "The path prefix, on whole segments, or with exact the whole path."},
		{Name: "exact", Places: inRoute, kind: boolean(), Default: "`false`", Example: "exact: true", Doc: "The request's path is this one, and none below it."},
		{Name: "methods", Places: inRoute, kind: listKind(codeRoute, "a method, or a list of them", maxConditions, checkMethod), Default: "any", Example: "methods: [GET, HEAD]", Doc: "The request has one of these methods."},
		{Name: "headers", Places: inRoute, kind: pairsKind("names with values: { X-Api: 2 }", true, checkField), Default: "any", Example: "headers: { X-Api: 2 }", Doc: "The request has all of these headers, with these values."},
		{Name: "query", Places: inRoute, kind: pairsKind("names with values: { debug: 1 }", false, checkParameter), Default: "any", Example: "query: { debug: 1 }", Doc: "The request has all of these parameters, with these values; of one that comes twice the first counts."},
		{Name: "rewrite", Places: inRoute, kind: rewriteKind(), Default: "the service sees what the client has asked for", Example: "rewrite: { prefix: / }", Doc: "What the service sees in place of it. X-Forwarded-Host has the host that was asked."},
		{Name: "redirect", Places: inRoute, kind: redirectKind(), Default: "the service answers", Example: "redirect: { scheme: https, status: 308 }", Doc: "Sends the client elsewhere, with the query that it has sent. A request that is there already goes to the service."},
		{Name: "maintenance", Places: inRoute, kind: maintenanceKind(), Default: "`false`", Example: "maintenance: { retryAfter: 10m }", Doc: "Answers the route's requests with 503 and a page."},
		{Name: "timeout", Places: inRoute, kind: duration(time.Millisecond, day), Default: "`1m`", Example: "timeout: 5s", Doc: "How long the service may take until the head of its answer, from when it has the request. Then the client is answered 504, and the version has failed."},
		{Name: "responseHeaders", Places: inRoute, kind: responseHeadersKind(), Default: "answers stay as they are", Example: "responseHeaders: { set: { Cache-Control: no-store }, remove: [Server] }", Doc: "What is done to the headers of the service's answers: first remove, then set, then add."},

		{Name: "prefix", Places: inRewrite, kind: path("a path: /"), Default: "the path stays", Example: "prefix: /v1", Doc: "Stands in place of the route's path: with path: /api and prefix: /, /api/orders is asked as /orders."},
		{Name: "host", Places: inRewrite, kind: host(), Default: "the host stays", Example: "host: inside.localhost", Doc: "The Host that the service sees."},

		{Name: "scheme", Places: inRedirect, kind: choice([]string{"http", "https"}, nil), Default: "as it came", Example: "scheme: https", Doc: "The scheme to go on with, on its own port."},
		{Name: "host", Places: inRedirect, kind: host(), Default: "as it came", Example: "host: shop.localhost", Doc: "The host to go on with."},
		{Name: "path", Places: inRedirect, kind: path("a path: /new"), Default: "as it came", Example: "path: /new", Doc: "Stands in place of the whole path."},
		{Name: "prefix", Places: inRedirect, kind: path("a path: /new"), Default: "as it came", Example: "prefix: /new", Doc: "Stands in place of the route's path."},
		{Name: "status", Places: inRedirect, kind: statusKind(), Default: "`302`", Example: "status: 308", Doc: "301 and 308 are kept by browsers; 307 and 308 keep the method and the body."},

		{Name: "page", Places: inMaintenance, kind: text(codeRoute, "HTML", map[string]any{"minLength": 1, "maxLength": maxPage}, checkPage), Default: "one that says so", Example: "page: '<h1>Back at nine</h1>'", Doc: "The page, in HTML."},
		{Name: "retryAfter", Places: inMaintenance, kind: duration(0, mostRetry), Default: "nothing is said", Example: "retryAfter: 10m", Doc: "When clients should come again: the header Retry-After."},

		{Name: "set", Places: inResponseHeaders, kind: pairsKind("names with values: { Cache-Control: no-store }", true, checkAnswerField), Example: "set: { Cache-Control: no-store }", Doc: "Headers in place of those of their names."},
		{Name: "add", Places: inResponseHeaders, kind: pairsKind("names with values: { Vary: Cookie }", true, checkAnswerField), Example: "add: { Vary: Cookie }", Doc: "Headers beside those of their names."},
		{Name: "remove", Places: inResponseHeaders, kind: listKind(codeRoute, "the name of a header, or a list of them", maxConditions, checkAnswerField), Example: "remove: [Server]", Doc: "Headers that are taken out."},

		{Name: "header", Places: inMatch, kind: carriedKind("NAME, or NAME: VALUE", ":", checkField), Example: "header: 'x-beta: 1'", Doc: "Requests with this header, and this value if there is one."},
		{Name: "cookie", Places: inMatch, kind: carriedKind("NAME, or NAME=VALUE", "=", checkCookie), Example: "cookie: beta=1", Doc: "Requests with this cookie, and this value if there is one."},
		{Name: "share", Places: inMatch, kind: weightKind(), Default: "`100%`", Example: "share: 20%", Doc: "How much of them goes to the new version; the rest goes to the old one. Where the rule names no value, who carries the same goes the same way, and a larger share takes nobody back (R16); else each request is drawn."},
		{Name: "apart", Places: inMatch, kind: boolean(), Default: "`false`", Example: "apart: true", Doc: "They are no part of what the new version is judged by."},
	}
}
