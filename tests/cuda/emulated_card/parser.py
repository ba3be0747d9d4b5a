"""A tokenizer and a parser of what compilers write. What they do not know, they refuse by name."""

import re
from dataclasses import dataclass

from .ptx import (
    Address,
    Body,
    Function,
    Group,
    Instruction,
    Integer,
    Label,
    Module,
    Name,
    Operand,
    Pair,
    Real,
    Refused,
    Scope,
    Variable,
    Vector,
    width,
)

TOKEN = re.compile(
    r"""(?P<space>[ \t\r\f]+|//[^\n]*|/\*.*?\*/)
      | (?P<newline>\n)
      | (?P<string>"[^"\n]*")
      | (?P<real>0[fF][0-9a-fA-F]{8}\b|0[dD][0-9a-fA-F]{16}\b)
      | (?P<version>\d+\.\d+)
      | (?P<integer>0[xX][0-9a-fA-F]+U?|0[bB][01]+U?|\d+U?)
      | (?P<word>[%$_A-Za-z][\w$]*(?:(?:\.|::)[\w$]+)*)
      | (?P<directive>\.[A-Za-z_]\w*(?:(?:\.|::)\w+)*)
      | (?P<mark>[{}()\[\]<>,;:@!|+=-])""",
    re.X | re.S,
)


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    line: int


def tokenize(text: str) -> list[Token]:
    tokens, at, line = [], 0, 1
    while at < len(text):
        found = TOKEN.match(text, at)
        if not found:
            raise Refused(f"line {line}: {text[at : at + 20]!r} begins no token of PTX")
        kind = found.lastgroup or ""
        if kind == "newline":
            line += 1
        elif kind == "space":
            line += found.group().count("\n")
        else:
            tokens.append(Token(kind, found.group(), line))
        at = found.end()
    tokens.append(Token("end", "", line))
    return tokens


class Parser:
    def __init__(self, text: str) -> None:
        self.tokens = tokenize(text)
        self.at = 0
        self.source = (0, 0)
        self.module = Module()

    # Reading tokens.

    @property
    def now(self) -> Token:
        return self.tokens[self.at]

    def next(self) -> Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def take(self, text: str) -> bool:
        if self.now.text == text and self.now.kind != "string":
            self.at += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.take(text):
            raise self.wrong(f"expected {text!r}")

    def of_kind(self, kind: str) -> str:
        if self.now.kind != kind:
            raise self.wrong(f"expected {kind}")
        return self.next().text

    def wrong(self, what: str) -> Refused:
        return Refused(f"line {self.now.line}: {what}, found {self.now.text!r}")

    def integer(self) -> int:
        sign = -1 if self.take("-") else 1
        text = self.of_kind("integer").rstrip("U")
        return sign * int(text, 0 if text[:2].lower() in ("0x", "0b") or text == "0" else 10)

    # The module.

    def parse(self) -> Module:
        while self.now.kind != "end":
            word = self.of_kind("directive")
            if word == ".version":
                self.module.version = self.of_kind("version")
            elif word == ".target":
                self.module.target = self.of_kind("word")
                while self.take(","):
                    self.of_kind("word")
            elif word == ".address_size":
                if self.integer() != 64:
                    raise self.wrong("addresses of 64 bits")
            elif word == ".file":
                number = self.integer()
                self.module.files[number] = self.of_kind("string")[1:-1]
                while self.take(","):
                    self.integer()
            elif word == ".section":
                self.skip_section()
            elif word in (".visible", ".extern", ".weak", ".common"):
                continue
            elif word in (".entry", ".func"):
                self.module.functions.append(self.function(word == ".entry"))
            elif word in (".global", ".const", ".shared"):
                self.module.variables += self.variables(word[1:])
            else:
                raise Refused(f"line {self.now.line}: directive {word} is not known here")
        return self.module

    def skip_section(self) -> None:
        while not self.take("{"):
            self.next()
        depth = 1
        while depth:
            depth += {"{": 1, "}": -1}.get(self.next().text, 0)

    def type(self) -> str:
        text = self.of_kind("directive")[1:]
        if text != "pred":
            width(text)
        return text

    def variables(self, space: str) -> list[Variable]:
        align = 0
        vector = 1
        while self.now.text in (".align", ".v2", ".v4"):
            word = self.next().text
            if word == ".align":
                align = self.integer()
            else:
                vector = int(word[2:])
        type_ = self.type()
        found = []
        while True:
            name = self.of_kind("word")
            count = vector
            if self.take("<"):
                count = self.integer()
                self.expect(">")
                found += [Variable(space, type_, f"{name}{k}", align, 1) for k in range(count)]
            else:
                while self.take("["):
                    count = count * self.integer() if self.now.text != "]" else 0
                    self.expect("]")
                values = self.initializer() if self.take("=") else ()
                found.append(Variable(space, type_, name, align or width_bytes(type_), count, values))
            if not self.take(","):
                break
        self.expect(";")
        return found

    def initializer(self) -> tuple[int | Real, ...]:
        if not self.take("{"):
            return (self.constant(),)
        values = [self.constant()]
        while self.take(","):
            values.append(self.constant())
        self.expect("}")
        return tuple(values)

    def constant(self) -> int | Real:
        return self.real() if self.now.kind == "real" else self.integer()

    def real(self) -> Real:
        text = self.of_kind("real")
        return Real(int(text[2:], 16), 32 if text[1] in "fF" else 64)

    # Functions.

    def parameters(self) -> list[Variable]:
        self.expect("(")
        found: list[Variable] = []
        while not self.take(")"):
            self.take(",")
            self.expect(".param")
            align = self.integer() if self.take(".align") else 0
            type_ = self.type()
            while self.now.text in (".ptr", ".align", ".global", ".shared", ".const", ".local"):
                if self.next().text == ".align":
                    self.integer()
            name = self.of_kind("word")
            count = 1
            if self.take("["):
                count = self.integer()
                self.expect("]")
            found.append(Variable("param", type_, name, align or width_bytes(type_), count))
        return found

    def function(self, entry: bool) -> Function:
        results = self.parameters() if self.now.text == "(" else []
        name = self.of_kind("word")
        parameters = self.parameters() if self.now.text == "(" else []
        bounds: dict[str, tuple[int, ...]] = {}
        while self.now.kind == "directive":
            word = self.next().text
            if word not in (".maxntid", ".reqntid", ".minnctapersm", ".maxnreg", ".noreturn"):
                raise Refused(f"line {self.now.line}: directive {word} of {name} is not known here")
            values = []
            while self.now.kind == "integer":
                values.append(self.integer())
                self.take(",")
            bounds[word[1:]] = tuple(values)
        if self.take(";"):
            return Function(name, entry, results, parameters, bounds, None)
        self.expect("{")
        return Function(name, entry, results, parameters, bounds, self.body())

    def body(self) -> Body:
        body = Body()
        while not self.take("}"):
            token = self.now
            if token.kind == "directive":
                self.directive(body)
            elif token.text == "{":
                self.next()
                body.items.append(Scope(self.body()))
            elif token.kind == "word" and self.tokens[self.at + 1].text == ":":
                body.items.append(Label(self.next().text))
                self.next()
            else:
                body.items.append(self.instruction())
        return body

    def directive(self, body: Body) -> None:
        word = self.next().text
        if word == ".reg":
            body.registers.update({v.name: v.type for v in self.variables("reg")})
        elif word in (".local", ".shared", ".param"):
            body.variables += self.variables(word[1:])
        elif word == ".pragma":
            self.of_kind("string")
            self.expect(";")
        elif word == ".loc":
            number, line = self.integer(), self.integer()
            self.integer()
            self.source = (number, line)
            while self.take(","):
                while self.now.text not in (",", ";") and self.now.line == self.tokens[self.at - 1].line:
                    self.next()
        else:
            raise Refused(f"line {self.now.line}: directive {word} is not known here")

    def instruction(self) -> Instruction:
        begin, line = self.at, self.now.line
        guard = None
        if self.take("@"):
            negated = self.take("!")
            guard = Name(self.of_kind("word"), negated)
        opcode = self.of_kind("word")
        operands = []
        if not self.take(";"):
            operands.append(self.operand())
            while self.take(","):
                operands.append(self.operand())
            self.expect(";")
        text = " ".join(t.text for t in self.tokens[begin : self.at - 1])
        return Instruction(opcode, tuple(operands), guard, line, self.source, text)

    def operand(self) -> Operand:
        token = self.now
        if self.take("{"):
            parts = [self.operand()]
            while self.take(","):
                parts.append(self.operand())
            self.expect("}")
            return Vector(tuple(parts))
        if self.take("("):
            group: list[Operand] = []
            while not self.take(")"):
                group.append(self.operand())
                self.take(",")
            return Group(tuple(group))
        if self.take("["):
            base = Integer(self.integer()) if self.now.kind == "integer" else Name(self.of_kind("word"))
            offset = 0
            if self.take("+") or self.now.text == "-":
                offset = self.integer()
            self.expect("]")
            return Address(base, offset)
        if token.kind == "real":
            return self.real()
        if token.kind == "integer" or token.text == "-":
            return Integer(self.integer())
        negated = self.take("!")
        name = Name(self.of_kind("word"), negated)
        if self.take("|"):
            return Pair(name, Name(self.of_kind("word")))
        return name


def width_bytes(type_: str) -> int:
    return 1 if type_ == "pred" else width(type_) // 8


def parse(text: str) -> Module:
    """The module that a text of PTX describes.

    Raises:
        Refused: with the line, for anything not known.
    """
    return Parser(text).parse()
