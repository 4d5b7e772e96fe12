from generator.document import Document, Finding


def lint(document: Document) -> list[Finding]:
    return list(document.malformed)
