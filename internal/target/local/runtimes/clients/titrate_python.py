"""Titrate's Python client of the Lambda Runtime API, for Python 3.9 and later, on the standard library alone.

It reads AWS_LAMBDA_RUNTIME_API, _HANDLER and LAMBDA_TASK_ROOT, loads the handler once, then asks for one invocation after another.
Sources: "Using the Lambda runtime API for custom runtimes", "Define Lambda function handler in Python", "Using the Lambda context object
to retrieve Python function information" in AWS's Lambda developer guide.

With --check it only loads the handler, writes the outcome as JSON to file descriptor 3 and ends.
"""

import decimal
import http.client
import importlib
import json
import logging
import os
import sys
import time
import traceback

API = "/2018-06-01/runtime"


class Fault(Exception):
    """An error that the runtime itself names, such as Runtime.HandlerNotFound."""

    def __init__(self, kind, message, trace=None):
        super().__init__(message)
        self.kind = kind
        self.trace = trace or []


def describe(err, request_id=""):
    """The error as AWS's Python runtime formats it. Frames of this file are left out of the trace."""
    if isinstance(err, Fault):
        kind, message, trace = err.kind, str(err), err.trace
    else:
        kind, trace = type(err).__name__, frames(err)
        try:
            message = str(err)
        except Exception:  # a __str__ of the user's may fail as well
            message = "an error that cannot be described"
    return {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": trace}


def frames(err):
    kept = [f for f in traceback.extract_tb(err.__traceback__) if f.filename != __file__ and "importlib" not in f.filename]
    return traceback.format_list(kept)


class Identity:
    """Of the Amazon Cognito user who called, where the call came from a mobile SDK."""

    def __init__(self, fields):
        self.cognito_identity_id = fields.get("cognitoIdentityId")
        self.cognito_identity_pool_id = fields.get("cognitoIdentityPoolId")


class Client:
    """The application of a client context."""

    def __init__(self, fields):
        self.installation_id = fields.get("installation_id")
        self.app_title = fields.get("app_title")
        self.app_version_name = fields.get("app_version_name")
        self.app_version_code = fields.get("app_version_code")
        self.app_package_name = fields.get("app_package_name")


class ClientContext:
    """What a caller sent along as client context."""

    def __init__(self, fields):
        self.client = Client(fields["client"]) if isinstance(fields.get("client"), dict) else None
        self.custom = fields.get("custom")
        self.env = fields.get("env")


def header_object(text, make):
    fields = json.loads(text) if text else None
    return make(fields) if isinstance(fields, dict) else None


class Context:
    """The second argument of every handler."""

    def __init__(self, headers):
        env = os.environ
        self._deadline = int(headers.get("Lambda-Runtime-Deadline-Ms") or 0)
        self.aws_request_id = headers.get("Lambda-Runtime-Aws-Request-Id")
        self.invoked_function_arn = headers.get("Lambda-Runtime-Invoked-Function-Arn")
        self.function_name = env.get("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = env.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = env.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = env.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = env.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.client_context = header_object(headers.get("Lambda-Runtime-Client-Context"), ClientContext)
        self.identity = header_object(headers.get("Lambda-Runtime-Cognito-Identity"), Identity) or Identity({})

    def get_remaining_time_in_millis(self):
        """Milliseconds until the deadline, never below 0."""
        return max(self._deadline - int(time.time() * 1000), 0)

    def log(self, message):
        """Writes message to the log as it is."""
        sys.stdout.write(str(message))


class Host:
    """The Runtime API, over one connection that is kept."""

    def __init__(self, address):
        self.address = address
        self.connection = http.client.HTTPConnection(address)

    def call(self, method, path, body=None, headers=None):
        try:
            self.connection.request(method, API + path, body=body, headers=headers or {})
            answer = self.connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except (OSError, http.client.HTTPException) as err:
            # There is nobody to tell but the log.
            sys.stderr.write(f"titrate: the Runtime API at {self.address} did not answer: {err}\n")
            sys.stderr.flush()
            os._exit(1)

    def next(self):
        status, headers, body = self.call("GET", "/invocation/next")
        if status == 410:  # there is no more work
            os._exit(0)
        if status != 200:
            sys.stderr.write(f"titrate: GET /invocation/next said {status}\n")
            os._exit(1)
        return headers, body

    def respond(self, request_id, body):
        return self.call("POST", f"/invocation/{request_id}/response", body, {"Content-Type": "application/json"})

    def error(self, path, what):
        kind = "".join(c if " " <= c <= "~" else "?" for c in what["errorType"])
        body = json.dumps(what).encode()
        self.call("POST", path, body, {"Content-Type": "application/json", "Lambda-Runtime-Function-Error-Type": kind})


class LogHandler(logging.Handler):
    """Writes each record at once with the id of the request in hand, in the form of AWS's Python runtime."""

    def __init__(self):
        super().__init__()
        self.request_id = ""
        formatter = logging.Formatter("[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s", "%Y-%m-%dT%H:%M:%S")
        formatter.converter = time.gmtime
        self.setFormatter(formatter)

    def emit(self, record):
        try:
            record.aws_request_id = self.request_id
            sys.stdout.write(self.format(record) + "\n")
            sys.stdout.flush()
        except Exception:  # logging must not break the function
            self.handleError(record)


def load(root, handler):
    """The function that handler names, from the files in root; Fault says what is wrong otherwise."""
    path, _, name = (handler or "").rpartition(".")
    module_name = path.replace("/", ".")
    if not name or not all(module_name.split(".")):
        raise Fault("Runtime.MalformedHandlerName", f"Bad handler '{handler}': write module.function")
    if sys.path[:1] != [root]:
        sys.path.insert(0, root)
    try:
        module = importlib.import_module(module_name)
    except ImportError as err:
        raise Fault("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {err}", frames(err)) from err
    except SyntaxError as err:
        line = f'  File "{err.filename}" Line {err.lineno}\n    {(err.text or "").strip()}\n'
        raise Fault("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {err}", [line]) from err
    found = getattr(module, name, None)
    if found is None:
        raise Fault("Runtime.HandlerNotFound", f"Handler '{name}' missing on module '{module_name}'")
    if not callable(found):
        raise Fault("Runtime.HandlerNotFound", f"Handler '{name}' of module '{module_name}' is not a function")
    return found


def plain(value):
    """JSON for what the standard encoder does not know: decimals, as DynamoDB's client returns them."""
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def answer(function, headers, body):
    """The JSON that function returns for one event."""
    try:
        event = json.loads(body)
        context = Context(headers)
    except ValueError as err:
        raise Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {err}") from err
    result = function(event, context)
    try:
        return json.dumps(result, default=plain, allow_nan=False).encode()
    except (TypeError, ValueError, OverflowError, RecursionError, decimal.InvalidOperation) as err:
        raise Fault("Runtime.MarshalError", f"Unable to marshal response: {err}") from err


def complain(what):
    sys.stdout.flush()
    lines = "".join(what["stackTrace"]).rstrip("\n")
    sys.stdout.write(f"[ERROR]\t{what['requestId']}\t{what['errorType']}: {what['errorMessage']}\n{lines}\n")
    sys.stdout.flush()


def leave(err):
    """Ends the process with the code that SystemExit asked for, whatever threads the function left."""
    code = err.code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if code is None else code & 0xFF if isinstance(code, int) else 1)


def serve(host, function, log):
    while True:
        headers, body = host.next()
        request_id = headers.get("Lambda-Runtime-Aws-Request-Id", "")
        log.request_id = request_id
        trace = headers.get("Lambda-Runtime-Trace-Id")
        if trace:
            os.environ["_X_AMZN_TRACE_ID"] = trace
        else:
            os.environ.pop("_X_AMZN_TRACE_ID", None)
        try:
            out = answer(function, headers, body)
        except BaseException as err:  # SystemExit too: the caller is told before the process ends
            what = describe(err, request_id)
            complain(what)
            host.error(f"/invocation/{request_id}/error", what)
            if isinstance(err, SystemExit):
                leave(err)
            if not isinstance(err, Exception):
                os._exit(1)
            continue
        host.respond(request_id, out)


def check():
    outcome = {"loaded": True}
    try:
        load(os.environ.get("LAMBDA_TASK_ROOT", os.getcwd()), os.environ.get("_HANDLER"))
    except BaseException as err:
        outcome = describe(err)
    os.write(3, json.dumps(outcome).encode())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if "loaded" in outcome else 1)


def main():
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)
    log = LogHandler()
    logging.getLogger().addHandler(log)
    host = Host(os.environ.get("AWS_LAMBDA_RUNTIME_API", ""))
    try:
        function = load(os.environ.get("LAMBDA_TASK_ROOT", os.getcwd()), os.environ.get("_HANDLER"))
    except BaseException as err:
        what = describe(err)
        complain(what)
        host.error("/init/error", what)
        os._exit(1)
    serve(host, function, log)


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        check()
    main()
