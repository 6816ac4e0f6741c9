"""What schemathesis must know of instaclone that no OpenAPI document can say.

Every exception is here, as narrow as it can be, with its reason. No check is turned off.
"""

import itertools
import os
import uuid

import requests
import schemathesis

ORIGIN = os.environ["ORIGIN"]
PASSWORD = "correct horse battery"
KEY = "Idempotency-Key"
LONGEST_KEY = 255
numbers = itertools.count(1)


class Account:
    """Somebody who has signed up, and stays logged in whatever is tried with their sessions."""

    def __init__(self):
        self.credentials = {"username": f"somebody.{uuid.uuid4().hex[:16]}", "password": PASSWORD}
        self.ask("accounts")

    def ask(self, what):
        reply = requests.post(f"{ORIGIN}/api/v1/{what}", json=self.credentials, timeout=30)
        reply.raise_for_status()
        self.id, self.token = reply.json()["user"]["id"], reply.json()["token"]

    def another_session(self):
        """The id of a device that has just logged in beside the one that is used."""
        before = self.token
        self.ask("sessions")
        headers, self.token = {"Authorization": f"Bearer {self.token}"}, before
        devices = requests.get(f"{ORIGIN}/api/v1/sessions", headers=headers, timeout=30).json()["items"]
        return next(device["id"] for device in devices if device["current"])


account = Account()
other = Account()
# Each apart from the other, because a block hides a person from what else is tried with them, and removing a
# follower undoes what accepting one has to find.
blocked = Account()
follower = Account()
requests.put(
    f"{ORIGIN}/api/v1/users/{account.id}/follow",
    headers={"Authorization": f"Bearer {follower.token}"},
    timeout=30,
).raise_for_status()

# What one does to somebody else, and to whom.
TO_OTHERS = {
    "followUser": other,
    "unfollowUser": other,
    "blockUser": blocked,
    "unblockUser": blocked,
    "muteUser": other,
    "unmuteUser": other,
    "addCloseFriend": other,
    "removeCloseFriend": other,
    "acceptFollowRequest": follower,
    "declineFollowRequest": other,
    "removeFollower": other,
}

if not os.environ.get("ANONYMOUS"):

    @schemathesis.auth(refresh_interval=None)
    class Bearer:
        """Sends a token that is good when it is sent."""

        def get(self, case, context):
            # Their success ends what all the other requests need: somebody else pays for it.
            if name_of(case) in ("deleteMe", "logOut", "changePassword"):
                return Account().token
            return account.token

        def set(self, case, token, context):
            case.headers["Authorization"] = f"Bearer {token}"


@schemathesis.hook
def before_call(context, case, kwargs):
    # A key that was used for another request is 422 by contract. Short values come again and again,
    # so each key, if it is one at all, is made unlike the others.
    key = case.headers.get(KEY)
    if key and len(key) <= LONGEST_KEY:
        case.headers[KEY] = f"{key}{next(numbers)}"[-LONGEST_KEY:]
    # A cursor is what a list gave, which a schema can't say: one that is a cursor by its type becomes
    # one that this list gave, or none.
    cursor = case.query.get("cursor")
    if isinstance(cursor, str) and cursor and is_valid(case):
        case.query.pop("cursor")
        if name_of(case) in cursors:
            case.query["cursor"] = cursors[name_of(case)]
    # Nobody guesses a password: of what fits the schema, every other log-in is one that must succeed.
    if name_of(case) == "logIn" and is_valid(case) and next(numbers) % 2:
        case.body = dict(account.credentials)
    if name_of(case) == "changePassword" and is_valid(case) and next(numbers) % 2:
        case.body["current"] = PASSWORD
    # No reply that makes a session has its id: of what fits the schema, every other one is one's own.
    if name_of(case) == "closeSession" and is_valid(case) and next(numbers) % 2:
        case.path_parameters["id"] = account.another_session()
    # Nobody follows or blocks themselves, and the id that is at hand is often one's own.
    if name_of(case) in TO_OTHERS and is_valid(case) and next(numbers) % 2:
        for parameter in case.path_parameters:
            case.path_parameters[parameter] = TO_OTHERS[name_of(case)].id


# Requests that fit the document and are refused all the same, for what a schema can't say: part of
# each sentence that names a field, and whose it is.
BEYOND_SCHEMAS = [
    # One rule for everything that people write. As a pattern it would stand in each model of each client.
    ("must not contain control characters", None),
    ("text must not be empty", "createComment"),  # Nothing but spaces.
    ("alt must not be sent more often than photo", "createPost"),
    ("id is you: nobody follows themselves", "followUser"),
    ("current is not your password", "changePassword"),
    ("id is you: choose someone else", None),
    ("parent_id is no comment of this post", "createComment"),
    ("parent_id is a reply itself", "createComment"),
    ("tag is not the name of a tag", "listTagPosts"),
    # A schema says `binary`, and what is drawn is not always a JPEG, PNG or WebP.
    ("JPEG, PNG and WebP are accepted", "createPost"),
    ("JPEG, PNG and WebP are accepted", "setAvatar"),
]


@schemathesis.hook
def filter_failure(context, failure, case, response):
    operation = name_of(case)
    if failure.code == "ST202" and response.status_code in (415, 422):
        detail = response.json()["detail"]
        return not any(part in detail and of in (None, operation) for part, of in BEYOND_SCHEMAS)
    # schemathesis takes the id in the reply to a log-in for the session's; it is the person's.
    if failure.code == "ST302" and operation == "closeSession":
        return False
    # A part of a form is text, whatever was meant by it: `{}` is two characters.
    if failure.code == "ST201" and operation == "createPost":
        return "alt: Incorrect type" not in str(failure.message)
    return True


cursors = {}


@schemathesis.hook
def after_call(context, case, response):
    if name_of(case) == "closeSession" and response.status_code == 204:
        account.ask("sessions")
    if case.method == "GET" and response.status_code == 200:
        reply = response.json()
        if isinstance(reply, dict) and reply.get("next"):
            cursors[name_of(case)] = reply["next"]


def name_of(case):
    return case.operation.definition.raw["operationId"]


def is_valid(case):
    """Whether the whole request was made to fit the document."""
    return case.meta is not None and case.meta.generation.mode.is_positive
