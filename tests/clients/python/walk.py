"""The product path with the client that openapi-python-client makes."""

import struct
import sys
import zlib

# ANCHOR: program
from instaclone_client import AuthenticatedClient, Client
from instaclone_client.api.accounts import sign_up
from instaclone_client.api.feed import get_feed
from instaclone_client.api.posts import create_post
from instaclone_client.models import NewAccount, NewPost, Problem
from instaclone_client.types import UNSET, File

ORIGIN = sys.argv[1]


def good(reply):
    """The reply, unless it is a problem."""
    if isinstance(reply, Problem):
        raise RuntimeError(reply.detail)
    return reply


def join(username):
    """A new person's id, and the client that acts for them."""
    account = NewAccount(username=username, password="correct horse battery")
    made = good(sign_up.sync(client=Client(base_url=ORIGIN), body=account))
    return made.user.id, AuthenticatedClient(base_url=ORIGIN, token=made.token)


def publish(client, photo, caption):
    post = NewPost(photo=[File(payload=photo, file_name="photo.png")], caption=caption)
    return good(create_post.sync(client=client, body=post, idempotency_key=caption))


def feed(client):
    """The whole feed, newest first, two posts at a time."""
    cursor = UNSET
    while cursor is not None:
        page = good(get_feed.sync(client=client, limit=2, cursor=cursor))
        yield from page.items
        cursor = page.next_
# ANCHOR_END: program


from instaclone_client.api.accounts import get_me, log_out, set_avatar
from instaclone_client.api.comments import create_comment
from instaclone_client.api.follows import follow_user
from instaclone_client.api.likes import like_post
from instaclone_client.api.posts import get_post
from instaclone_client.models import NewComment, PostCounts


def png(width, height):
    """A photo drawn here: one grey for each column."""

    def chunk(kind, content):
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = (b"\0" + bytes(x * 8 for x in range(width))) * height
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


photo = png(32, 24)
ada_id, ada = join("ada.py")
bob_id, bob = join("bob.py")

pictured = good(set_avatar.sync(client=ada, body=File(payload=photo)))
assert pictured.avatar_url, pictured
posts = [publish(ada, photo, caption) for caption in ["one", "two", "three", "four", "five"]]
posts.reverse()
assert (posts[0].photos[0].width, posts[0].photos[0].height) == (32, 24), posts[0]
# The same under the same key: no second post.
assert publish(ada, photo, "five").id == posts[0].id

# Bob follows Ada, sees all she posted, page by page, and says so.
assert follow_user.sync_detailed(ada_id, client=bob).status_code == 204
assert [post.id for post in feed(bob)] == [post.id for post in posts]
first = posts[0].id
assert like_post.sync_detailed(first, client=bob).status_code == 204
comment = good(create_comment.sync(first, client=bob, body=NewComment(text="Lovely!")))
assert (comment.author.id, comment.post_id) == (bob_id, first), comment
seen = good(get_post.sync(first, client=bob))
assert seen.counts == PostCounts(likes=1, comments=1) and seen.viewer.liked, seen

# A problem has its type, too.
refused = create_comment.sync(first, client=bob, body=NewComment(text=""))
assert isinstance(refused, Problem) and refused.status == 422, refused
assert [(error.field, error.detail) for error in refused.errors] == [("text", "must not be empty")]

assert log_out.sync_detailed(client=bob).status_code == 204
assert get_me.sync(client=bob).status == 401
print("walked")
