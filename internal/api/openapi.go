package api

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// document writes the OpenAPI 3.1.1 description of a table of routes.
func document(table []*route) ([]byte, error) {
	paths := map[string]map[string]any{}
	for _, r := range table {
		if paths[r.path] == nil {
			paths[r.path] = map[string]any{}
		}
		paths[r.path][strings.ToLower(r.method)] = operation(r)
	}
	return json.MarshalIndent(map[string]any{
		"openapi": "3.1.1",
		"info": map[string]any{
			"title": "mailseal", "version": "1", "license": map[string]any{"name": "Apache-2.0", "identifier": "Apache-2.0"},
			"description": "Certificates for mail (S/MIME): everything that the portal does.",
		},
		"servers": []any{map[string]any{"url": "/"}},
		"paths":   paths,
		"components": map[string]any{
			"securitySchemes": map[string]any{
				"token": map[string]any{"type": "http", "scheme": "bearer", "description": "A token of an account. It has the roles that its scopes name, as far as the account has them."},
				"order": map[string]any{"type": "http", "scheme": "bearer", "description": "The token that opening an order returned."},
			},
			"schemas": map[string]any{"problem": problemSchema()},
			"responses": map[string]any{
				"problem": map[string]any{
					"description": "A refusal (RFC 9457).",
					"content":     map[string]any{"application/problem+json": map[string]any{"schema": map[string]any{"$ref": "#/components/schemas/problem"}}},
				},
			},
		},
	}, "", "  ")
}

func operation(r *route) map[string]any {
	o := map[string]any{
		"operationId": r.id, "summary": r.summary, "tags": []string{r.tag()},
		"parameters": parameters(r), "responses": responses(r),
	}
	switch r.access.kind {
	case byOrderToken:
		o["security"] = []any{map[string]any{"order": []string{}}}
	case byToken:
		scopes := []string{}
		for _, role := range r.access.roles {
			scopes = append(scopes, string(role))
		}
		// Any one of them will do, so each is an alternative of its own.
		var ways []any
		for _, s := range scopes {
			ways = append(ways, map[string]any{"token": []string{s}})
		}
		if ways == nil {
			ways = append(ways, map[string]any{"token": scopes})
		}
		o["security"] = ways
	default:
		o["security"] = []any{}
	}
	if content := requestContent(r); content != nil {
		o["requestBody"] = map[string]any{"required": true, "content": content}
	}
	return o
}

func requestContent(r *route) map[string]any {
	content := map[string]any{}
	for _, media := range r.media {
		content[media] = map[string]any{}
	}
	if r.in != nil {
		content["application/json"] = map[string]any{"schema": schemaOf(r.in)}
	}
	if len(content) == 0 {
		return nil
	}
	return content
}

func parameters(r *route) []any {
	list := []any{}
	for _, name := range r.names() {
		list = append(list, map[string]any{"name": name, "in": "path", "required": true, "schema": schema{"type": "string"}})
	}
	if r.query != nil {
		for _, f := range fields(r.query) {
			rule := rulesOf(f)
			p := map[string]any{"name": rule.name, "in": "query", "schema": rule.schema(f.Type)}
			if rule.required {
				p["required"] = true
			}
			list = append(list, p)
		}
	}
	if r.replayable() {
		list = append(list, map[string]any{
			"name": idempotencyHeader, "in": "header", "schema": schema{"type": "string", "maxLength": maxIdempotencyKey},
			"description": "The same request with the same key is done once, and answered the same for a day. Another request with the key is refused.",
		})
	}
	return list
}

func responses(r *route) map[string]any {
	success := map[string]any{"description": http.StatusText(r.status)}
	content := map[string]any{}
	if r.out != nil {
		content["application/json"] = map[string]any{"schema": schemaOf(r.out)}
	}
	for _, media := range r.file {
		content[media] = map[string]any{}
	}
	if len(content) > 0 {
		success["content"] = content
	}
	all := map[string]any{strconv.Itoa(r.status): success}
	if r.partly {
		accepted := maps.Clone(success)
		accepted["description"] = "A part of it waits for a second member; all else was done."
		all[strconv.Itoa(http.StatusAccepted)] = accepted
	}
	for _, status := range refusals(r) {
		all[strconv.Itoa(status)] = map[string]any{"$ref": "#/components/responses/problem"}
	}
	return all
}

// refusals lists what a route may be refused with.
func refusals(r *route) []int {
	list := []int{http.StatusBadRequest, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable}
	if r.access.kind != byAnybody {
		list = append(list, http.StatusUnauthorized, http.StatusForbidden)
	}
	if r.method != http.MethodGet {
		list = append(list, http.StatusConflict, http.StatusUnprocessableEntity)
	}
	if r.in != nil || r.media != nil {
		list = append(list, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	slices.Sort(list)
	return list
}

func problemSchema() schema {
	return schema{
		"type": "object", "required": []string{"title", "status", "code"},
		"properties": map[string]any{
			"title":  schema{"type": "string"},
			"status": schema{"type": "integer"},
			"code":   schema{"type": "string", "description": "Stable, for programs."},
			"detail": schema{"type": "string", "description": "For people."},
			"field":  schema{"type": "string", "description": "The member or parameter that is meant."},
		},
	}
}
